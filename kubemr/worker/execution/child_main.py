"""The main function of the process that runs user code.

`kubemr.serve` calls `run_child` if `is_child` returns True.
The process then runs tasks from the channel until the channel ends.
It ends with its parent: an idle child sees the end of the channel.
A child that runs a task is killed by the guardian of its process group (see `process_group`) and, on Linux, by the
kernel.
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

from kubemr.worker.execution.child_process import CHILD_FD, COUNTERS_FILE
from kubemr.worker.execution.ipc import Channel, StartPermits
from kubemr.worker.job_worker import JobWorker, require_worker

_PR_SET_PDEATHSIG: Final = 1
_PROGRESS_SECONDS: Final = 0.05
"""The shortest time between two reports of progress, so that a call per record costs almost nothing."""


def is_child() -> bool:
    """Return whether a worker started this process to run user code."""
    return CHILD_FD in os.environ


def run_child(worker: JobWorker) -> NoReturn:
    """Run tasks until the parent closes the channel, then exit."""
    require_worker(worker)
    # Imported here, because the parent imports this module too and needs none of it.
    import faulthandler

    from kubemr.storage.open import store_from_environment
    from kubemr.worker.assignment import Assignment, JobInfo
    from kubemr.worker.execution.failure_messages import describe_error
    from kubemr.worker.execution.task_runner import TaskRunner
    from kubemr.worker.execution.written_bytes import ReadCounters, WrittenBytes

    descriptors = _inherited_descriptors(os.environ)
    connection, permits = (socket.socket(fileno=descriptor) for descriptor in descriptors[:2])
    # A shell starts background processes with SIGINT ignored; user code must find the default.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A crash in native code then leaves a Python traceback on stderr, which becomes the attempt's error.
    faulthandler.enable(2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Output before a hang or a crash must not stay in a buffer.
        sys.stdout.reconfigure(line_buffering=True)
    _die_with_parent(connection)
    channel = Channel(connection)
    tasks = StartPermits(channel, permits)
    hello = channel.receive()
    if hello is None:
        sys.exit(0)
    job, directory = hello.body
    runner = TaskRunner(worker, JobInfo(**job), directory, store_from_environment)
    try:
        runner.prepare()
    except BaseException as error:
        message = f"{type(worker).__name__}.worker_init failed: {describe_error(error)}"
        channel.send("start_failed", body=message)
        sys.exit(1)
    written_bytes = WrittenBytes(ReadCounters(os.path.join(directory, COUNTERS_FILE)), descriptors[2:])
    channel.send("ready")
    while (task := tasks.next_task()) is not None:
        seq = task[0]
        kind, message, seconds = runner.run(Assignment(*task[1:]), _ProgressReporter(channel, seq))
        printed = written_bytes.has_grown()
        channel.send(kind, seq, [seconds, message, printed] if message or printed else seconds)
        runner.collect_garbage()
        if printed and not tasks.wait_for_continue():
            break
    sys.exit(0)


class _ProgressReporter:
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


def _inherited_descriptors(environ: MutableMapping[str, str]) -> list[int]:
    """Return the descriptors of channel, start permits, stdout and stderr."""
    # Remove the variable, so that a program that user code starts does not assume that it is a child.
    text = environ.pop(CHILD_FD)
    try:
        descriptors = [int(each) for each in text.split(",")]
        kinds = [stat.S_IFMT(os.fstat(descriptor).st_mode) for descriptor in descriptors]
        if kinds != [stat.S_IFSOCK, stat.S_IFSOCK, stat.S_IFIFO, stat.S_IFIFO]:
            raise ValueError("not two sockets and two pipes")
    except (OSError, ValueError) as error:
        raise RuntimeError(
            f"{CHILD_FD}={text!r}: {error}; kubemr sets this variable for a process that it starts itself: unset it"
        ) from error
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return descriptors


def _die_with_parent(connection: socket.socket) -> None:
    if sys.platform == "linux":
        import ctypes

        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # If the parent died before that call, the kernel sends no signal, but the channel is closed.
    poll = select.poll()
    poll.register(connection, 0)  # only POLLHUP and POLLERR, which are always reported
    if poll.poll(0):
        sys.exit(0)
