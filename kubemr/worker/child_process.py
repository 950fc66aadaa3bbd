"""One process that runs user code, as the runtime sees it: started, spoken to, killed, reaped.

The process is the user's own program, executed again with `KUBEMR_CHILD_FD` set: the number of the
socket that it inherits.  It leads no group of its own but sits in a `ProcessGroup`, so that its end
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
from functools import partial
from typing import IO, Final

from kubemr.worker.assignment import Assignment
from kubemr.worker.channel import Decoder, Kind, Message, encode
from kubemr.worker.failure import TAIL
from kubemr.worker.printed import Printed
from kubemr.worker.process_group import ProcessGroup
from kubemr.worker.tee import Tee

CHILD_FD: Final = "KUBEMR_CHILD_FD"
"""Set in the environment of a child: the file descriptor of its channel."""
_LAST_OUTPUT: Final = 2.0
"""How long to wait for the end of a dead child's output, which only a process in another session can withhold."""
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
        self.directory = tempfile.mkdtemp(prefix="kubemr-worker-")
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(False)
        self._decoder = Decoder()
        self._unsent = bytearray()
        self._caught_up = False  # with what was printed until the end of the latest attempt
        try:
            self.group = ProcessGroup()
        except BaseException:
            self._discard(theirs)
            raise
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=(theirs.fileno(),),
                process_group=self.group.id,
                env={**environ, CHILD_FD: str(theirs.fileno())},
            )
        except BaseException:
            self.group.close()
            self._discard(theirs)
            raise
        theirs.close()
        self.printed = Printed(log_bytes)
        self._stdout = self._tee(self._process.stdout, stdout, "stdout")
        self._stderr = self._tee(self._process.stderr, stderr, "stderr")
        # `exited` becomes readable when the process has ended: its end says so even where processes that it forked
        # keep the socket open.
        self.exited, self._exiting = os.pipe()
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
        """What has arrived, without waiting; None when the child has closed its end.  Raises `BadFrame`."""
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
            messages += self._decoder.feed(data)
            if len(data) < _CHUNK:
                return messages

    def begin(self, attempt: Assignment) -> None:
        """From here on, what it prints belongs to this attempt."""
        if not self._caught_up:
            self._catch_up()
        self._caught_up = False
        self._stderr.forget()
        self.printed.begin(attempt)

    def output(self) -> bytes:
        """What it has printed in its attempt, bounded; waits for what is under way."""
        self._catch_up()
        self._caught_up = True
        return self.printed.kept()

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended; False when it has not in `timeout` seconds."""
        poll = select.poll()
        poll.register(self.exited, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def hang_up(self, grace: float) -> None:
        """Close our side of the channel, on which an idle child ends in an orderly way, and give it `grace` seconds."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return
        self.wait(grace)

    def end(self) -> tuple[int, str]:
        """Kill whatever is left of the group, and return the exit status (as in `Popen`) and the end of stderr."""
        self.group.kill()
        poll = select.poll()
        poll.register(self.exited, select.POLLIN)
        poll.poll()
        self.group.close()
        self._stdout.join(_LAST_OUTPUT)
        self._stderr.join(_LAST_OUTPUT)
        os.close(self.exited)
        self._discard(self.socket)
        return self._process.wait(), self._stderr.tail()

    def _catch_up(self) -> None:
        # Held up only by a reader of ours that cannot get rid of it: what comes too late is the next attempt's.
        self._stdout.catch_up(_LAST_OUTPUT)
        self._stderr.catch_up(_LAST_OUTPUT)

    def _reap(self) -> None:
        self._process.wait()
        os.close(self._exiting)

    def _discard(self, theirs: socket.socket) -> None:
        theirs.close()
        self.socket.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _tee(self, pipe: IO[bytes] | None, target: int, name: str) -> Tee:
        assert pipe is not None, "started with PIPE"
        # The Tee owns a descriptor of its own: a pipe object that goes away must not close it under its thread.
        source = os.dup(pipe.fileno())
        pipe.close()
        return Tee(source, target, TAIL, partial(self.printed.add, name), f"kubemr-{name}")
