"""Catching up with a stream waits for what is in it at that moment, and for no more."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubemr.worker.execution.tee import Tee
from kubemr.worker.execution.written_bytes import ReadCounter, ReadCounters

PATIENCE = 60.0


class Stream:
    """A pipe that is copied to another; `noted` is what was noted of it."""

    def __init__(self, folder: Path) -> None:
        source, self.writing = os.pipe()
        self.reading, self.target = os.pipe()
        self.noted: list[bytes] = []
        ReadCounters.create(str(folder / "counts"))
        self.tee = Tee(
            source, self.target, 10, self.noted.append, "tee", ReadCounter(ReadCounters(str(folder / "counts")), 0)
        )

    def close(self) -> None:
        """The end of the stream."""
        os.close(self.reading)  # what is blocked ends
        os.close(self.writing)
        assert self.tee.join(PATIENCE)
        os.close(self.target)


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Stream]:
    """One that is closed in the end."""
    stream = Stream(tmp_path)
    yield stream
    stream.close()


def test_what_was_written_before_is_noted_after(stream: Stream) -> None:
    """Every time, however the threads run."""
    for number in range(500):
        os.write(stream.writing, b"%d\n" % number)
        assert stream.tee.catch_up(PATIENCE)
        assert b"".join(stream.noted).endswith(b"%d\n" % number)
        os.read(stream.reading, 4096)


def test_there_is_nothing_to_wait_for_in_a_stream_without_anything(stream: Stream) -> None:
    """It comes back at once."""
    assert stream.tee.catch_up(0)


def test_a_stream_that_never_pauses_is_not_waited_for(stream: Stream) -> None:
    """Two threads write without end, and it is never empty."""
    on = threading.Event()

    def write() -> None:
        while not on.is_set():
            os.write(stream.writing, b"." * 3000)

    def read() -> None:
        while b"end" not in os.read(stream.reading, 1 << 16):
            pass

    writers = [threading.Thread(target=write) for _ in range(2)]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    try:
        assert all(stream.tee.catch_up(PATIENCE) for _ in range(20))
    finally:
        on.set()
        for thread in writers:
            thread.join()
        assert stream.tee.catch_up(PATIENCE)
        os.write(stream.writing, b"end")  # at once, so it arrives at once
        reader.join()


def test_a_target_that_takes_nothing_holds_it_up_for_the_given_time_at_most(stream: Stream) -> None:
    """What is stuck behind it is not noted yet."""
    room = fcntl.fcntl(stream.reading, fcntl.F_GETPIPE_SZ)
    for _ in range(3):  # one is in the target, one in the copying thread's hands, and one before it
        os.write(stream.writing, b"." * room)
    assert not stream.tee.catch_up(0.01)
