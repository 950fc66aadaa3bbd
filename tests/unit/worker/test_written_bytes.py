"""Whether a child has printed, which it computes while its pipes are being read."""

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
        shared = ReadCounters(path)
        self.counters = [ReadCounter(shared, 0), ReadCounter(shared, 1)]
        self.written_bytes = WrittenBytes(ReadCounters(path), self.writing)

    def read(self, stream: int, count: int) -> None:
        """Read from a pipe as the parent does."""
        self.counters[stream].before_read(count)
        assert len(os.read(self.reading[stream], count)) == count
        self.counters[stream].after_read()


@pytest.fixture
def pipes(tmp_path: Path) -> Iterator[Pipes]:
    """Closed in the end, as far as they are not."""
    pipes = Pipes(tmp_path)
    yield pipes
    for each in (*pipes.reading, *pipes.writing):
        os.close(each)


@pytest.mark.parametrize("stream", [0, 1])
def test_it_does_not_matter_what_was_read(pipes: Pipes, stream: int) -> None:
    """Nothing of it, a part, or all."""
    assert not pipes.written_bytes.has_grown()
    for part in (0, 2, 5):
        os.write(pipes.writing[stream], b"hello")
        if part:
            pipes.read(stream, part)
        assert pipes.written_bytes.has_grown()
        assert not pipes.written_bytes.has_grown()
    pipes.read(stream, bytes_in_pipe(pipes.reading[stream]))
    assert not pipes.written_bytes.has_grown()


def test_during_a_read_the_result_is_unknown(pipes: Pipes) -> None:
    """An unknown result counts as printed, and so does the next one, which has nothing to compare with."""
    os.write(pipes.writing[0], b"hello")
    assert pipes.written_bytes.has_grown()
    pipes.counters[0].before_read(5)
    assert pipes.written_bytes.has_grown()
    os.read(pipes.reading[0], 5)
    assert pipes.written_bytes.has_grown()
    pipes.counters[0].after_read()
    assert pipes.written_bytes.has_grown()
    assert not pipes.written_bytes.has_grown()


def test_a_closed_pipe_counts_as_printed(tmp_path: Path) -> None:
    """Another file may have the number of its descriptor now."""
    pipes = Pipes(tmp_path)
    for each in pipes.writing:
        os.close(each)
    assert pipes.written_bytes.has_grown()
    assert pipes.written_bytes.has_grown()
    for each in pipes.reading:
        os.close(each)


def test_there_is_one_file_for_both(tmp_path: Path) -> None:
    """A child that does not find it must not create another, in which the parent would count nothing."""
    path = tmp_path / "printed"
    with pytest.raises(FileNotFoundError):
        ReadCounters(str(path))
    ReadCounters.create(str(path))
    with pytest.raises(FileExistsError):
        ReadCounters.create(str(path))
    assert not any(path.read_bytes())
