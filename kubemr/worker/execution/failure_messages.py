"""Why an attempt failed, in words: the `message` of an `Outcome`.

The first line is a summary that stands alone in a status column; below it comes what helps to find the
cause, the end of a traceback or of stderr.  Both are bounded, for they end in the job's status.
"""

from __future__ import annotations

import os
import signal
import traceback
from types import TracebackType
from typing import Final

TAIL: Final = 4096
"""How many bytes of a traceback or of stderr are kept: the last ones."""
_SUMMARY: Final = 1024
_RUNTIME: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep


def describe_error(error: BaseException) -> str:
    """The exception's type and message, then the end of its traceback, which begins with the user's own code."""
    summary = _cut(_summary(error), _SUMMARY)
    lines = traceback.format_exception(type(error), error, _below(error.__traceback__))
    return f"{summary}\n{_end(''.join(lines).rstrip())}"


def describe_exit(returncode: int, stderr: str, *, when: str) -> str:
    """What to say of a process that ended by itself; `when` is e.g. "while it ran map/17/1-w0-abc123"."""
    text = f"the worker process {ended(returncode)} {when}"
    stderr = stderr.strip()
    if not stderr:
        return f"{text}; it wrote nothing to stderr"
    return f"{text}; the end of its stderr:\n{stderr}"


def ended(returncode: int) -> str:
    """`exited with status 3` or `was killed by SIGSEGV`, from `Popen.returncode`."""
    if returncode >= 0:
        return f"exited with status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    # Nobody but the kernel's out-of-memory killer sends a SIGKILL unasked.
    guess = " (out of memory?)" if -returncode == signal.SIGKILL else ""
    return f"was killed by {name}{guess}"


def _summary(error: BaseException) -> str:
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    if isinstance(error, SystemExit):
        return f"{text or 'SystemExit'} (user code called sys.exit; return a value or raise an exception instead)"
    if isinstance(error, KeyboardInterrupt):
        return f"{text} (raised inside user code)"
    return text


def _below(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame on that is not the runtime's."""
    first = trace
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_RUNTIME):
        trace = trace.tb_next
    return trace or first


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def _end(text: str) -> str:
    return text if len(text) <= TAIL else f"…{text[-TAIL:]}"
