"""Why an attempt failed, in words: the `message` of an `Outcome`.

The first line is a summary that can stand alone in a status column.
After it comes what helps to find the cause: the end of a traceback or of stderr.
Both are bounded, because the job's status shows them.
"""

from __future__ import annotations

import os
import signal
import traceback
from types import TracebackType
from typing import Final

TAIL_BYTES: Final = 4096
"""How many of the last bytes of stderr, or characters of a traceback, a message contains."""
_SUMMARY: Final = 1024
_RUNTIME: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep


def describe_error(error: BaseException) -> str:
    """Return the exception's type and message, then the end of its traceback, which begins with the user's code."""
    summary = _shorten(_summary(error), _SUMMARY)
    lines = traceback.format_exception(type(error), error, _user_frames(error.__traceback__))
    return f"{summary}\n{_last_part(''.join(lines).rstrip())}"


def describe_exit(returncode: int, stderr: str, *, when: str) -> str:
    """Return the message about a process that ended by itself; `when` is e.g. "while it ran map/17/1-w0-abc123"."""
    text = f"the worker process {exit_description(returncode)} {when}"
    stderr = stderr.strip()
    if not stderr:
        return f"{text}; it wrote nothing to stderr"
    return f"{text}; the end of its stderr:\n{stderr}"


def exit_description(returncode: int) -> str:
    """Return `exited with status 3` or `was killed by SIGSEGV`, from `Popen.returncode`."""
    if returncode >= 0:
        return f"exited with status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    # Usually only the kernel's out-of-memory killer sends SIGKILL without a request.
    guess = " (out of memory?)" if -returncode == signal.SIGKILL else ""
    return f"was killed by {name}{guess}"


def _summary(error: BaseException) -> str:
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    if isinstance(error, SystemExit):
        return f"{text or 'SystemExit'} (user code called sys.exit; return a value or raise an exception instead)"
    if isinstance(error, KeyboardInterrupt):
        return f"{text} (raised inside user code)"
    return text


def _user_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback from the first frame on that is not in kubemr's code."""
    first = trace
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_RUNTIME):
        trace = trace.tb_next
    return trace or first


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters)"


def _last_part(text: str) -> str:
    return text if len(text) <= TAIL_BYTES else f"…{text[-TAIL_BYTES:]}"
