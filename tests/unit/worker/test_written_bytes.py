"""Whether a child has printed, as it tells itself while its pipes are being read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubemr.worker.execution.written_bytes import ReadCounter, ReadCounters, WrittenBytes, bytes_in_pipe


class Pipes:
    """stdout and stderr: both ends, and the views of parent and child."""

    def __init__(self, folder: Path) -> None:
        path = str(folder / "printed")
        ReadCounters.create(path)
        self.reading, self.writing = zip(os.pipe(), os.pipe(), strict=True)
        taken = ReadCounters(path)
        self.counts = [ReadCounter(taken, 0), ReadCounter(taken, 1)]
        self.prints = WrittenBytes(ReadCounters(path), self.writing)

    def take(self, stream: int, count: int) -> None:
        """As the parent does it."""
        self.counts[stream].before_read(count)
        assert len(os.read(self.reading[stream], count)) == count
        self.counts[stream].after_read()


@pytest.fixture
def pipes(tmp_path: Path) -> Iterator[Pipes]:
    """Closed in the end, as far as they are not."""
    pipes = Pipes(tmp_path)
    yield pipes
    for each in (*pipes.reading, *pipes.writing):
        os.close(each)


@pytest.mark.parametrize("stream", [0, 1])
def test_it_does_not_matter_what_was_taken(pipes: Pipes, stream: int) -> None:
    """Nothing of it, a part, or all."""
    assert not pipes.prints.has_grown()
    for part in (0, 2, 5):
        os.write(pipes.writing[stream], b"hello")
        if part:
            pipes.take(stream, part)
        assert pipes.prints.has_grown()
        assert not pipes.prints.has_grown()
    pipes.take(stream, bytes_in_pipe(pipes.reading[stream]))
    assert not pipes.prints.has_grown()


def test_while_something_is_being_taken_it_cannot_be_told(pipes: Pipes) -> None:
    """Then it counts as printed, and so does the next time, for which there is nothing to compare with."""
    os.write(pipes.writing[0], b"hello")
    assert pipes.prints.has_grown()
    pipes.counts[0].before_read(5)
    assert pipes.prints.has_grown()
    os.read(pipes.reading[0], 5)
    assert pipes.prints.has_grown()
    pipes.counts[0].after_read()
    assert pipes.prints.has_grown()
    assert not pipes.prints.has_grown()


def test_who_has_closed_a_pipe_counts_as_printing(tmp_path: Path) -> None:
    """Whatever has its number now."""
    pipes = Pipes(tmp_path)
    for each in pipes.writing:
        os.close(each)
    assert pipes.prints.has_grown()
    assert pipes.prints.has_grown()
    for each in pipes.reading:
        os.close(each)


def test_there_is_one_file_for_both(tmp_path: Path) -> None:
    """Who does not find it does not make another, in which nothing would ever be taken."""
    path = tmp_path / "printed"
    with pytest.raises(FileNotFoundError):
        ReadCounters(str(path))
    ReadCounters.create(str(path))
    with pytest.raises(FileExistsError):
        ReadCounters.create(str(path))
    assert not any(path.read_bytes())
