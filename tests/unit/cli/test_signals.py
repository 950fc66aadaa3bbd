"""A signal ends a command without a traceback, from its first import on."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kubemr.cli.run import SignalReceived, _signals_as_events

ROOT = Path(__file__).parents[3]
INTERRUPTED = """
import runpy, sys
module, how, what = sys.argv[1:4]
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            raise KeyboardInterrupt
sys.modules.pop(module, None)
sys.meta_path.insert(0, Interrupt())
sys.argv[:] = sys.argv[3:]
(runpy.run_path if how == "path" else runpy.run_module)(what, run_name="__main__")
"""


@pytest.mark.parametrize("module", ["heapq", "sysconfig", "glob", "click", "kubemr.cli.run", "kubemr.local.cluster"])
def test_demo(module: str) -> None:
    """Ctrl-C while this module is imported gives exit code 130 and no traceback."""
    _check(module, "path", str(ROOT / "examples/wordcount/demo.py"))


@pytest.mark.parametrize(
    "module", ["click", "kubemr.cli.commands", "kubemr.cli.manifest", "yaml", "kubemr.local.cluster"]
)
def test_command_line(module: str, tmp_path: Path) -> None:
    """The same holds for `kubemr`."""
    _check(module, "module", "kubemr", "run", str(_manifest(tmp_path)))


def _manifest(folder: Path) -> Path:
    path = folder / "job.yaml"
    path.write_text("a: 1\n")
    return path


def _check(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_become_events(number: signal.Signals) -> None:
    """None of them kills the process before it has cleaned up; afterwards the former handlers are active again."""
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    before = signal.getsignal(number)
    with _signals_as_events(events.put):
        os.kill(os.getpid(), number)
        assert events.get(timeout=10) == SignalReceived(number)
    assert signal.getsignal(number) == before
