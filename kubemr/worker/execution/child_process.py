"""One process that runs user code, as the runtime sees it: started, spoken to, killed, reaped.

The process is the user's own program, executed again with `KUBEMR_CHILD_FD` set: the numbers of the
descriptors that it inherits.  It leads no group of its own but sits in a `ProcessGroup`, so that its end
takes along what it started.  Its working files lie in a directory that goes with it.
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
from kubemr.worker.execution.failure_messages import TAIL
from kubemr.worker.execution.ipc import PERMIT_BYTES, Decoder, InvalidFrameError, Kind, Message, Task, encode
from kubemr.worker.execution.log_buffer import LogBuffer
from kubemr.worker.execution.process_group import ProcessGroup
from kubemr.worker.execution.tee import Tee
from kubemr.worker.execution.written_bytes import ReadCounter, ReadCounters

CHILD_FD: Final = "KUBEMR_CHILD_FD"
"""Set in the environment of a child: its file descriptors of channel, turns, stdout and stderr, with commas."""
COUNTS: Final = "printed"
"""The file in the child's directory that holds `ReadCounters`."""
_LAST_OUTPUT: Final = 2.0
"""How long to wait for the end of a dead child's output, which only a process in another session can withhold."""
_PERMITS: Final = PERMIT_BYTES << 10
"""Bytes of more turns than are ever given at once."""
_PERMITS_BUFFER: Final = 1 << 18
"""Of the socket: room for each turn that is ever given, also one by one, so that giving never waits."""
_CHUNK: Final = 1 << 14
"""Small, as Python takes memory for as much before it knows how much there is to read."""


def own_command() -> list[str]:
    """The command that runs this very program again: `python file.py …` or `python -m package …`."""
    if sys.argv[:1] in ([], [""], ["-"]):
        raise RuntimeError(
            "kubemr runs user code in a second process, which executes the same program again; a program read from "
            "stdin or typed at a prompt cannot be: save it to a file and run `python that_file.py`"
        )
    return [sys.executable, *sys.orig_argv[1:]]


class ChildProcess:
    """A running child.  All methods are for one thread, the one that started it.

    That thread must live as long as the child: on Linux the kernel kills a child that asked for it when
    the *thread* that started it ends.
    """

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], stdout: int, stderr: int, log_bytes: int
    ) -> None:
        self._decoder = Decoder()
        self._unsent = bytearray()
        self._caught_up = False  # with what was printed until the end of the latest attempt
        with ExitStack() as undo, ExitStack() as given:  # undone when the start fails; closed here in any case
            self.directory = tempfile.mkdtemp(prefix="kubemr-worker-")
            undo.callback(_remove_unused, self.directory)
            counts = os.path.join(self.directory, COUNTS)
            ReadCounters.make(counts)
            taken = ReadCounters(counts)
            self.socket, theirs = socket.socketpair()
            undo.enter_context(self.socket)
            given.enter_context(theirs)
            self.socket.setblocking(False)
            self._permits, self._child_permits = socket.socketpair()
            undo.enter_context(self._permits)
            undo.enter_context(self._child_permits)
            self._permits.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PERMITS_BUFFER)
            # `exited` becomes readable when the process has ended: its end says so even where processes that it forked
            # keep the socket open.
            self.exited, self._exiting = _pipe(undo, undo)
            pipes = [_pipe(undo, given) for _ in range(2)]
            self.group = ProcessGroup()
            undo.callback(self.group.close)
            inherited = (theirs.fileno(), self._child_permits.fileno(), *(writing for _, writing in pipes))
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=inherited[2],
                stderr=inherited[3],
                pass_fds=inherited,
                process_group=self.group.id,
                env={**environ, CHILD_FD: ",".join(map(str, inherited))},
            )
            undo.pop_all()
        self.log_buffer = LogBuffer(log_bytes)
        self._stdout, self._stderr = (
            Tee(
                pipes[stream][0],
                target,
                TAIL,
                partial(self.log_buffer.add, name),
                f"kubemr-{name}",
                ReadCounter(taken, stream),
            )
            for stream, (target, name) in enumerate(((stdout, "stdout"), (stderr, "stderr")))
        )
        threading.Thread(target=self._reap, name=f"kubemr-reap-{self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def unsent(self) -> bool:
        """True while a part of a message waits for room in the socket."""
        return bool(self._unsent)

    def send(self, kind: Kind, seq: int = 0, body: object = None) -> None:
        """Queue a message and send what can be sent at once; call `flush` when the socket has room again."""
        self._unsent += encode(kind, seq, body)
        self.flush()

    def flush(self) -> None:
        """Send what is left.  A dead child is no error here: its end is found by `exited`."""
        while self._unsent:
            try:
                sent = self.socket.send(self._unsent[:_CHUNK])
            except BlockingIOError:
                return
            except OSError:
                self._unsent.clear()
                return
            del self._unsent[:sent]

    def receive(self) -> list[Message] | None:
        """What has arrived, without waiting; None when the child has closed its end.  Raises `InvalidFrameError`."""
        messages: list[Message] = []
        while True:
            try:
                data = self.socket.recv(_CHUNK)
            except BlockingIOError:
                return messages
            except OSError:
                data = b""
            if not data:
                return messages or None
            try:
                messages += self._decoder.feed(data)
            except InvalidFrameError as bad:
                bad.before = [*messages, *bad.before]
                raise
            if len(data) < _CHUNK:
                return messages

    def send_tasks(self, tasks: Sequence[Task]) -> None:
        """Tasks to run one after another; `take_back` what shall not begin after all."""
        self.send("tasks", body=tasks)
        # After the tasks themselves, so that a turn never waits for its task.
        with suppress(OSError):  # a dead child, as in `flush`
            self._permits.sendall(b"".join(task[0].to_bytes(PERMIT_BYTES, "big") for task in tasks))

    def recall(self) -> list[int]:
        """The numbers of the tasks that were given and have not begun; they never will.  Safe in any thread."""
        turns = b""
        with suppress(OSError):
            turns = self._child_permits.recv(_PERMITS, socket.MSG_DONTWAIT)
        return [int.from_bytes(turns[at : at + PERMIT_BYTES], "big") for at in range(0, len(turns), PERMIT_BYTES)]

    def silent(self) -> None:
        """It has printed nothing in its attempt."""
        self._caught_up = True

    def go_on(self, attempt: Assignment) -> None:
        """The attempt before printed nothing: whatever was printed since it began belongs to this one."""
        self._caught_up = False
        self.log_buffer.go_on(attempt)

    def begin(self, attempt: Assignment) -> None:
        """From here on, what it prints belongs to this attempt."""
        if not self._caught_up:
            self._catch_up()
        self._caught_up = False
        self._stderr.forget()
        self.log_buffer.begin(attempt)

    def output(self) -> bytes:
        """What it has printed in its attempt, bounded; waits for what is under way."""
        self._catch_up()
        self._caught_up = True
        return self.log_buffer.kept()

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended; False when it has not in `timeout` seconds."""
        poll = select.poll()
        poll.register(self.exited, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def hang_up(self, grace: float) -> None:
        """Close our side of the channel, on which an idle child ends in an orderly way, and give it `grace` seconds."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
            self._permits.shutdown(socket.SHUT_WR)
        except OSError:
            return
        self.wait(grace)

    def kill(self) -> None:
        """Kill whatever is left of the group, and wait for the end of the process."""
        self.group.kill()
        poll = select.poll()
        poll.register(self.exited, select.POLLIN)
        poll.poll()

    def end(self) -> tuple[int, str]:
        """After `kill`: remove what is left of it.  Gives the exit status (as in `Popen`) and the end of stderr."""
        self.group.close()
        self._stdout.join(_LAST_OUTPUT)
        self._stderr.join(_LAST_OUTPUT)
        os.close(self.exited)
        self._discard()
        return self._process.wait(), self._stderr.tail()

    def _catch_up(self) -> None:
        # Held up only by a reader of ours that cannot get rid of it: what comes too late is the next attempt's.
        self._stdout.catch_up(_LAST_OUTPUT)
        self._stderr.catch_up(_LAST_OUTPUT)

    def _reap(self) -> None:
        self._process.wait()
        os.close(self._exiting)

    def _discard(self) -> None:
        for each in (self.socket, self._permits, self._child_permits):
            each.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def _remove_unused(directory: str) -> None:
    """Without a descriptor, as there may be none left (`rmtree` needs one)."""
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, COUNTS))
    os.rmdir(directory)


def _pipe(*closers: ExitStack) -> tuple[int, int]:
    """Reading and writing end of a new pipe, each closed by its closer."""
    ends = os.pipe()
    for end, closer in zip(ends, closers, strict=True):
        closer.callback(os.close, end)
    return ends
