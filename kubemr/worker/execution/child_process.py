"""The child process as the parent sees it: start it, exchange messages with it, kill it, reap it.

The child is the user's own program, executed again with `KUBEMR_CHILD_FD` set: the numbers of the descriptors that it
inherits.
It is a member, not the leader, of a `ProcessGroup`, so that when it ends, the processes that it started end as well.
Its working files are in a directory that is removed with it.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Final

from kubemr.worker.assignment import Assignment
from kubemr.worker.execution.failure_messages import TAIL_BYTES
from kubemr.worker.execution.ipc import (
    PERMIT_BYTES,
    Decoder,
    EncodedTask,
    InvalidFrameError,
    Message,
    MessageKind,
    encode,
)
from kubemr.worker.execution.log_buffer import LogBuffer
from kubemr.worker.execution.process_group import ProcessGroup
from kubemr.worker.execution.tee import Tee
from kubemr.worker.execution.written_bytes import ReadCounter, ReadCounters

CHILD_FD: Final = "KUBEMR_CHILD_FD"
"""The variable by which a child knows its file descriptors: channel, start permits, stdout, stderr, with commas."""
COUNTERS_FILE: Final = "printed"
"""The file in the child's directory that holds `ReadCounters`."""
_OUTPUT_SECONDS: Final = 2.0
"""How long to wait for the end of a dead child's output: a process in another session may hold the pipes open."""
_MAX_PERMITS_BYTES: Final = PERMIT_BYTES << 10
"""Bytes of more permits than the child can hold at once."""
_PERMITS_BUFFER_BYTES: Final = 1 << 18
"""The size of the socket's buffer: room for all permits, also if they are sent one by one, so that no send waits."""
_RECEIVE_BYTES: Final = 1 << 14
"""How much to receive at once.  Small, because Python allocates that much before it knows how much there is."""


def own_command() -> list[str]:
    """Return the command that runs this program again: `python file.py …` or `python -m package …`."""
    if sys.argv[:1] in ([], [""], ["-"]):
        raise RuntimeError(
            "kubemr runs user code in a second process, which executes the same program again; a program read from "
            "stdin or typed at a prompt cannot be: save it to a file and run `python that_file.py`"
        )
    return [sys.executable, *sys.orig_argv[1:]]


class ChildProcess:
    """A running child.  All methods, except `recall`, may be called only by the thread that started the child.

    That thread must live as long as the child.
    On Linux the child asks the kernel to kill it when its parent ends, and to the kernel the parent is the *thread*.
    """

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], stdout: int, stderr: int, log_bytes: int
    ) -> None:
        self._decoder = Decoder()
        self._unsent = bytearray()
        self._caught_up = False  # True: all output until the end of the latest attempt has been read
        # `on_failure` closes resources if the start fails; `always` closes what only the child needs.
        with ExitStack() as on_failure, ExitStack() as always:
            self.directory = tempfile.mkdtemp(prefix="kubemr-worker-")
            on_failure.callback(_remove_directory, self.directory)
            counters_path = os.path.join(self.directory, COUNTERS_FILE)
            ReadCounters.create(counters_path)
            counters = ReadCounters(counters_path)
            self.socket, child_socket = socket.socketpair()
            on_failure.enter_context(self.socket)
            always.enter_context(child_socket)
            self.socket.setblocking(False)
            self._permits, self._child_permits = socket.socketpair()
            on_failure.enter_context(self._permits)
            on_failure.enter_context(self._child_permits)
            self._permits.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PERMITS_BUFFER_BYTES)
            # `exit_fd` becomes readable when the process ends, even if a process that it forked holds the socket open.
            self.exit_fd, self._exit_write_fd = _pipe(on_failure, on_failure)
            pipes = [_pipe(on_failure, always) for _ in range(2)]
            self.group = ProcessGroup()
            on_failure.callback(self.group.close)
            inherited = (child_socket.fileno(), self._child_permits.fileno(), *(writing for _, writing in pipes))
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=inherited[2],
                stderr=inherited[3],
                pass_fds=inherited,
                process_group=self.group.id,
                env={**environ, CHILD_FD: ",".join(map(str, inherited))},
            )
            on_failure.pop_all()
        self.log_buffer = LogBuffer(log_bytes)
        self._stdout, self._stderr = (
            Tee(
                pipes[stream][0],
                target,
                TAIL_BYTES,
                partial(self.log_buffer.add, name),
                f"kubemr-{name}",
                ReadCounter(counters, stream),
            )
            for stream, (target, name) in enumerate(((stdout, "stdout"), (stderr, "stderr")))
        )
        threading.Thread(target=self._report_exit, name=f"kubemr-reap-{self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def has_unsent(self) -> bool:
        """Whether a part of a message waits for room in the socket."""
        return bool(self._unsent)

    def send(self, kind: MessageKind, seq: int = 0, body: object = None) -> None:
        """Queue a message, and send as much as the socket accepts; call `flush` when the socket has room again."""
        self._unsent += encode(kind, seq, body)
        self.flush()

    def flush(self) -> None:
        """Send what is queued.  A dead child is not an error here: the caller learns of its end by `exit_fd`."""
        while self._unsent:
            try:
                sent = self.socket.send(self._unsent[:_RECEIVE_BYTES])
            except BlockingIOError:
                return
            except OSError:
                self._unsent.clear()
                return
            del self._unsent[:sent]

    def receive(self) -> list[Message] | None:
        """Return the messages that have arrived, without waiting; None if the child has closed its end.

        Raise `InvalidFrameError` if the child sent something else.
        """
        messages: list[Message] = []
        while True:
            try:
                data = self.socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return messages
            except OSError:
                data = b""
            if not data:
                return messages or None
            try:
                messages += self._decoder.feed(data)
            except InvalidFrameError as error:
                error.before = [*messages, *error.before]
                raise
            if len(data) < _RECEIVE_BYTES:
                return messages

    def send_tasks(self, tasks: Sequence[EncodedTask]) -> None:
        """Send tasks that the child runs one after another; `recall` can withdraw those that have not begun."""
        self.send("tasks", body=tasks)
        # After the tasks themselves, so that a child with a permit never waits for the task.
        with suppress(OSError):  # the child is dead, as in `flush`
            self._permits.sendall(b"".join(task[0].to_bytes(PERMIT_BYTES, "big") for task in tasks))

    def recall(self) -> list[int]:
        """Recall the tasks that have not begun, and return their numbers.

        The child never runs them.  Any thread may call this method.
        """
        permits = b""
        with suppress(OSError):
            permits = self._child_permits.recv(_MAX_PERMITS_BYTES, socket.MSG_DONTWAIT)
        return [int.from_bytes(permits[at : at + PERMIT_BYTES], "big") for at in range(0, len(permits), PERMIT_BYTES)]

    def note_no_output(self) -> None:
        """Note that the attempt that has ended printed nothing, so that no output has to be read."""
        self._caught_up = True

    def relabel_output(self, attempt: Assignment) -> None:
        """Assign the output since the previous attempt began to this attempt: the previous one printed nothing."""
        self._caught_up = False
        self.log_buffer.relabel(attempt)

    def begin_attempt(self, attempt: Assignment) -> None:
        """Assign the output from now on to this attempt."""
        if not self._caught_up:
            self._catch_up()
        self._caught_up = False
        self._stderr.clear_tail()
        self.log_buffer.begin_attempt(attempt)

    def read_output(self) -> bytes:
        """Return what the attempt has printed, shortened to the bound; wait for output that is still in the pipes."""
        self._catch_up()
        self._caught_up = True
        return self.log_buffer.content()

    def wait_for_exit(self, timeout: float) -> bool:
        """Wait until the process has ended; return False if it has not after `timeout` seconds."""
        poll = select.poll()
        poll.register(self.exit_fd, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def shut_down(self, grace: float) -> None:
        """Close the parent's end of the channel, so that an idle child exits, and wait `grace` seconds at most."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
            self._permits.shutdown(socket.SHUT_WR)
        except OSError:
            return
        self.wait_for_exit(grace)

    def kill(self) -> None:
        """Kill the processes of the group, and wait for the end of the child."""
        self.group.kill()
        poll = select.poll()
        poll.register(self.exit_fd, select.POLLIN)
        poll.poll()

    def reap(self) -> tuple[int, str]:
        """After `kill`, release all resources; return the exit status (as in `Popen`) and the end of stderr."""
        self.group.close()
        self._stdout.join(_OUTPUT_SECONDS)
        self._stderr.join(_OUTPUT_SECONDS)
        os.close(self.exit_fd)
        self._release_resources()
        return self._process.wait(), self._stderr.tail()

    def _catch_up(self) -> None:
        # This waits only if this worker's own stdout or stderr is blocked.
        # Output that arrives too late belongs to the next attempt.
        self._stdout.catch_up(_OUTPUT_SECONDS)
        self._stderr.catch_up(_OUTPUT_SECONDS)

    def _report_exit(self) -> None:
        self._process.wait()
        os.close(self._exit_write_fd)

    def _release_resources(self) -> None:
        for each in (self.socket, self._permits, self._child_permits):
            each.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def _remove_directory(directory: str) -> None:
    """Remove the directory without a file descriptor: `rmtree` needs one, and there may be none left."""
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, COUNTERS_FILE))
    os.rmdir(directory)


def _pipe(*closers: ExitStack) -> tuple[int, int]:
    """Return the reading and the writing end of a new pipe, each to be closed by its closer."""
    ends = os.pipe()
    for end, closer in zip(ends, closers, strict=True):
        closer.callback(os.close, end)
    return ends
