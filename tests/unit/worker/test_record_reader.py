"""`self.records` and `self.parts`: what a worker reads of a split, and the errors if a file cannot be read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from importlib.util import find_spec
from typing import BinaryIO

import pytest
from attr import evolve

from kubemr.coordination.splits import Part, Split
from kubemr.storage import DirectoryStore
from kubemr.worker.input.record_reader import RecordsError, records
from kubemr.worker.job_worker import JobWorker
from support.workerharness import Harness, map_task

LINES = b"one\r\ntwo\n\nlast"
PACK: dict[str, Callable[[bytes], bytes]] = {"Gzip": gzip.compress, "Bzip2": bz2.compress, "Xz": lzma.compress}


def of(content: bytes) -> Callable[[str, int], BinaryIO]:
    """Return a function that opens a file of that content for any address."""
    return lambda url, start: io.BytesIO(content[start:])


@pytest.mark.parametrize("kind", PACK)
def test_compressed_files_are_decompressed(kind: str) -> None:
    """All of it, in several members too."""
    packed = PACK[kind](LINES + b"\n") + PACK[kind](b"next")
    found = list(records(Part("s3://b/x", compression=kind), of(packed)))
    assert found == [b"one", b"two", b"", b"last", b"next"]
    assert list(records(Part("s3://b/x", compression=kind), of(PACK[kind](b"")))) == []


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"no such thing" + data])
def test_a_damaged_file_is_named(kind: str, damage: Callable[[bytes], bytes]) -> None:
    """With what is wrong and what to do."""
    content = damage(PACK[kind](bytes(range(256)) * 100))
    message = rf"^s3://b/x: cannot be decompressed as {kind}: \w+: .*; write the file again"
    with pytest.raises(RecordsError, match=message):
        list(records(Part("s3://b/x", compression=kind), of(content)))


def test_errors_of_the_store_are_passed_on() -> None:
    """They do not mean that the file is damaged."""

    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: object) -> int:
            raise LookupError("the store")

    with pytest.raises(LookupError, match="the store"):
        list(records(Part("s3://b/x", compression="Gzip"), lambda url, start: io.BufferedReader(Broken())))


def test_zstd_needs_a_decompressor() -> None:
    """Python's own from 3.14 on, or the package zstandard; the error names both."""
    # A frame of zstd that holds LINES as it is: magic number, no checksum, one raw block that is the last.
    frame = b"\x28\xb5\x2f\xfd\x20" + bytes([len(LINES)]) + (len(LINES) << 3 | 1).to_bytes(3, "little") + LINES
    part = Part("s3://b/x.zst", compression="Zstd")
    if find_spec("zstandard") or find_spec("compression"):
        assert list(records(part, of(frame))) == [b"one", b"two", b"", b"last"]
    else:
        with pytest.raises(
            RecordsError, match=r"x\.zst: .* no decompressor; install zstandard in it, or use Python 3\.14"
        ):
            list(records(part, of(frame)))


def test_a_compression_that_is_not_known() -> None:
    """A split by a later version, perhaps."""
    with pytest.raises(RecordsError, match="'Lz9' is unknown; known are None, Gzip"):
        list(records(Part("s3://b/x", compression="Lz9"), of(b"")))


@pytest.mark.parametrize("part", [Part("s3://b/x", 0, 100), Part("s3://b/x", 5, 50), Part("s3://b/x", 50, 50)])
def test_a_file_that_has_become_shorter_is_an_error(part: Part) -> None:
    """The reader does not treat it as the end of the records."""
    message = r"^s3://b/x: has no more than \d+ bytes, and \d+ at least by the manifest or when it was listed; "
    with pytest.raises(RecordsError, match=message):
        list(records(part, of(LINES)))


@pytest.mark.parametrize(
    "part",
    [
        Part("s3://b/x", 0, 5, last=True),  # Up to the end of a record.
        Part("s3://b/x", 5, 7, last=True),  # Into a record, which is read to its end.
        Part("s3://b/x", 1, 2, last=True),  # Within a record that is another part's.
        Part("s3://b/x", 12, 1, last=True),  # Within the last record, which does not end.
    ],
)
def test_a_file_that_is_longer_than_its_parts_is_an_error(part: Part) -> None:
    """No part would read what follows.  Only the last part checks that, after it has read its records."""
    found: list[bytes] = []
    stop = part.start + (part.length or 0)
    message = rf"^s3://b/x: has more than {stop} bytes, and {stop} by the manifest"
    with pytest.raises(
        RecordsError, match=message + r" .*; correct the manifest, do not .*, and create the job again$"
    ):
        found.extend(records(part, of(LINES)))
    assert found == list(records(evolve(part, last=False), of(LINES)))


def test_the_last_part_ends_where_the_file_does() -> None:
    """Whether its last record ends or not."""
    assert list(records(Part("s3://b/x", 10, 4, last=True), of(LINES))) == [b"last"]
    assert list(records(Part("s3://b/x", 10, 5, last=True), of(LINES + b"\n"))) == [b"last"]
    assert list(records(Part("s3://b/x", 12, 2, last=True), of(LINES))) == []


def test_the_parts_of_an_input() -> None:
    """An address is one whole file, and its name determines the compression."""
    worker = JobWorker()
    split = Split((Part("s3://b/x", 5, 10), Part("s3://b/y")))
    assert worker.parts(split.encode()) == split.parts
    assert worker.parts("s3://b/x.gz") == (Part("s3://b/x.gz", compression="Gzip"),)


def test_a_worker_reads_the_records_of_its_input(harness: Harness) -> None:
    """Of all parts in order, by address or from the job's own store."""
    store = DirectoryStore(harness.store)
    store.put("own", b"aa\nbb\ncc\n")
    other = harness.directory / "other.gz"
    other.write_bytes(gzip.compress(b"dd\nee"))
    split = Split((Part(store.url("own"), 1, 4), Part(other.as_uri(), compression="Gzip")))
    (outcome,) = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                print(*self.records(input), file=sys.stderr)
                raise ValueError(b"+".join(self.records(input)))
        """,
        map_task(0, split.encode()),
    )
    assert outcome.message.startswith("ValueError: b'bb+dd+ee'"), outcome.message


def test_reading_records_is_progress(harness: Harness) -> None:
    """A task with slow records does not time out."""
    DirectoryStore(harness.store).put("own", b"x\n" * 64)
    source = """
        class Worker(JobWorker):
            def map(self, input):
                count = 0
                for record in self.records(input):
                    time.sleep(0.08)
                    count += 1
                return {0: str(count)}
        """
    executor = harness.start_and_wait(harness.executor(source, task_timeout=4.0))
    executor.submit([map_task(0, DirectoryStore(harness.store).url("own"))])
    (outcome,) = executor.wait(60.0)
    assert outcome.kind == "done", outcome.message
