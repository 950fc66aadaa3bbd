"""Processes whose parent died before them become this process's children, and end with it.

Linux only (`PR_SET_CHILD_SUBREAPER`); elsewhere the process groups of `kubemr.worker.execution.process_group` must do
alone.
It concerns the whole process, so it is for programs, not for libraries.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36


def become_subreaper() -> None:
    """Become the parent of descendants that lose theirs."""
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def end_all() -> None:
    """Kill every child that is left, and theirs as they are adopted, and return when none is left.

    Only for a process that has no other children it still wants.
    """
    with contextlib.suppress(ChildProcessError):
        while True:
            for pid in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)


def _children() -> list[int]:
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return []
    found: list[int] = []
    for task in tasks.iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found
