"""examples/lock_worker: real processes, one of which is killed at work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from kubemr.locks import Server
from support.gadgets import Gadgets

ROOT = Path(__file__).parents[3]
PARTS = 12


def environment(server: Server) -> dict[str, str]:
    """How a worker finds the server, as docs/protocol.md has it."""
    environ = os.environ | {"KUBEMR_APISERVER": server.url, "KUBEMR_APISERVER_TOKEN": server.token or ""}
    return environ | {"PYTHONPATH": str(ROOT), "KUBEMR_APISERVER_CA": str(server.ca_file or "")}


def test_every_part_is_made_once_though_a_worker_is_killed(gadgets: Gadgets, server: Server) -> None:
    """kill -9 of the holder: others finish, with higher fences, and no part is made twice."""
    target = gadgets.create()
    command = [
        sys.executable,
        str(ROOT / "examples" / "lock_worker" / "worker.py"),
        target.name,
        f"--namespace={gadgets.namespace}",
        f"--parts={PARTS}",
        "--seconds=0.01",
        "--duration=1",
    ]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, env=environment(server), stdout=subprocess.PIPE, text=True)

    with start() as first, start() as second, start() as third:
        workers = [first, second, third]
        try:
            assert first.stdout is not None
            opening = first.stdout.readline()
            first.kill()
            outputs = [worker.communicate(timeout=60)[0] for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
    assert [second.returncode, third.returncode] == [0, 0]
    made = sorted(
        (int(part), int(fence)) for part, fence in re.findall(r"made (\d+), fence (\d+)", opening + "".join(outputs))
    )
    parts, fences = [part for part, _ in made], [fence for _, fence in made]
    assert len(set(parts)) == len(parts)
    unreported = set(range(1, PARTS + 1)) - set(parts)
    assert len(unreported) <= 1, "only the killed worker can have recorded a part without a word"
    assert fences == sorted(fences)
    shown = gadgets.get(target)
    assert shown["made"] == PARTS
    assert re.fullmatch(r"/\d+/0", shown["lockholder"])
