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
    worker = ROOT / "examples" / "lock_worker" / "worker.py"

    def start(seconds: float) -> subprocess.Popen[str]:
        options = [f"--namespace={gadgets.namespace}", f"--parts={PARTS}", f"--seconds={seconds}", "--duration=1"]
        command = [sys.executable, str(worker), target.name, *options]
        return subprocess.Popen(command, env=environment(server), stdout=subprocess.PIPE, text=True)

    with start(seconds=3600) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline().endswith("holds it, fence 1\n")
            with start(seconds=0.01) as second, start(seconds=0.01) as third:
                first.kill()
                output = "".join(process.communicate(timeout=60)[0] for process in (second, third))
        finally:
            first.kill()
    assert [second.returncode, third.returncode] == [0, 0]
    made = sorted((int(part), int(fence)) for part, fence in re.findall(r"made (\d+), fence (\d+)", output))
    fences = [fence for _, fence in made]
    assert [part for part, _ in made] == list(range(1, PARTS + 1))
    assert fences == sorted(fences)
    assert fences[0] > 1
    shown = gadgets.get(target)
    assert shown["made"] == PARTS
    assert re.fullmatch(r"/\d+/0", shown["lockholder"])
