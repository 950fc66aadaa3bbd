"""Adopt processes whose parent died, so that they end with this process.

Linux only (`PR_SET_CHILD_SUBREAPER`).  Elsewhere only the process groups of `kubemr.worker.execution.process_group`
prevent left-over processes.  It affects the whole process, so it is for programs, not for libraries.
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
    """Become the parent of descendants whose parent dies."""
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def end_all() -> None:
    """Kill every remaining child, and its children as they are adopted; return when none remains.

    Only for a process that needs none of its children any more.
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
