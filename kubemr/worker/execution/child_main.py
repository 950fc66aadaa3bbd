"""The process that runs user code, from its own side.

`kubemr.serve` calls `run_child` when `is_child` says so.  The process then takes tasks from the channel
until the channel ends.  It ends with its parent: an idle one sees the end of the channel, one at work is
killed by its process group's guardian (see `process_group`) and, on Linux, by the kernel.
"""

from __future__ import annotations

import io
import os
import select
import signal
import socket
import stat
import sys
import time
from collections.abc import MutableMapping
from typing import Final, NoReturn

from kubemr.worker.execution.child_process import CHILD_FD, COUNTS
from kubemr.worker.execution.ipc import Channel, StartPermits
from kubemr.worker.job_worker import JobWorker, require_worker

_PR_SET_PDEATHSIG: Final = 1
_PROGRESS_SECONDS: Final = 0.05
"""Progress is reported at most this often: a call per record must cost next to nothing."""


def is_child() -> bool:
    """True when this process was started by the runtime to run user code."""
    return CHILD_FD in os.environ


def run_child(worker: JobWorker) -> NoReturn:
    """Run tasks until the parent closes the channel; then end the process."""
    require_worker(worker)
    # Imported here, because the parent imports this module too and needs none of it.
    import faulthandler

    from kubemr.storage.open import store_from_environment
    from kubemr.worker.assignment import Assignment, JobInfo
    from kubemr.worker.execution.failure_messages import describe_error
    from kubemr.worker.execution.task_runner import TaskRunner
    from kubemr.worker.execution.written_bytes import ReadCounters, WrittenBytes

    numbers = _inherited(os.environ)
    connection, turns = (socket.socket(fileno=number) for number in numbers[:2])
    # A shell starts what runs in its background with SIGINT ignored; user code is to find it as it is elsewhere.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A crash in native code then leaves a Python traceback on stderr, which becomes the attempt's error.
    faulthandler.enable(2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a task prints before it hangs or crashes must not stay in a buffer.
        sys.stdout.reconfigure(line_buffering=True)
    _die_with_parent(connection)
    channel = Channel(connection)
    tasks = StartPermits(channel, turns)
    hello = channel.receive()
    if hello is None:
        sys.exit(0)
    job, directory = hello.body
    runner = TaskRunner(worker, JobInfo(**job), directory, store_from_environment)
    try:
        runner.prepare()
    except BaseException as error:
        why = f"{type(worker).__name__}.worker_init failed: {describe_error(error)}"
        channel.send("broken", body=why)
        sys.exit(1)
    prints = WrittenBytes(ReadCounters(os.path.join(directory, COUNTS)), numbers[2:])
    channel.send("ready")
    while (task := tasks.next()) is not None:
        seq = task[0]
        kind, why, seconds = runner.run(Assignment(*task[1:]), _Progress(channel, seq))
        printed = prints.more()
        channel.send(kind, seq, [seconds, why, printed] if why or printed else seconds)
        runner.tidy()
        if printed and not tasks.wait_for_go():
            break
    sys.exit(0)


class _Progress:
    """Reports the progress of one task."""

    def __init__(self, channel: Channel, seq: int) -> None:
        self._channel = channel
        self._seq = seq
        self._next = 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PROGRESS_SECONDS
            self._channel.send("progress", self._seq)


def _inherited(environ: MutableMapping[str, str]) -> list[int]:
    """The descriptors of channel, turns, stdout and stderr."""
    # Taken out of the environment, so that a program that user code starts does not take itself for a child.
    text = environ.pop(CHILD_FD)
    try:
        numbers = [int(each) for each in text.split(",")]
        kinds = [stat.S_IFMT(os.fstat(number).st_mode) for number in numbers]
        if kinds != [stat.S_IFSOCK, stat.S_IFSOCK, stat.S_IFIFO, stat.S_IFIFO]:
            raise ValueError("not two sockets and two pipes")
    except (OSError, ValueError) as error:
        raise RuntimeError(
            f"{CHILD_FD}={text!r}: {error}; kubemr sets this variable for a process that it starts itself: unset it"
        ) from error
    for number in numbers:
        os.set_inheritable(number, False)
    return numbers


def _die_with_parent(connection: socket.socket) -> None:
    if sys.platform == "linux":
        import ctypes

        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # A parent that died before that call sends no signal any more; but it has closed the channel.
    poll = select.poll()
    poll.register(connection, 0)  # only what is always reported: POLLHUP and POLLERR
    if poll.poll(0):
        sys.exit(0)
