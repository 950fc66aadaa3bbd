"""Reading is the same from every store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kubemr.storage import NoSuchKeyError, ObjectInfo, ObjectStore
from kubemr.storage.open import size_of

Fill = Callable[[dict[str, bytes]], ObjectStore]
DATA = bytes(range(256)) * 5000


@pytest.mark.parametrize("size", [0, 1, 1000, len(DATA)])
def test_an_object_reads_as_it_was_written(stored: Fill, size: int) -> None:
    """`get`, `reader`, `get_file` and `stat` agree on the object."""
    store = stored({"a/b": DATA[:size]})
    assert store.get("a/b") == DATA[:size]
    with store.reader("a/b") as stream:
        assert stream.read() == DATA[:size]
    assert store.stat("a/b") == ObjectInfo("a/b", size)


@pytest.mark.parametrize(("size", "start"), [(0, 0), (1000, 0), (1000, 999), (1000, 1000), (len(DATA), 5)])
def test_a_reader_knows_the_size_of_its_object(stored: Fill, size: int, start: int) -> None:
    """Wherever it begins, and before anything is read as well as after."""
    with stored({"a/b": DATA[:size]}).reader("a/b", start) as stream:
        assert size_of(stream) == size
        stream.read()
        assert size_of(stream) == size


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, 4, b"0123"),
        (3, 4, b"3456"),
        (0, 10, b"0123456789"),
        (8, 100, b"89"),
        (10, 5, b""),
        (99, 5, b""),
        (0, 0, b""),
        (5, 0, b""),
        (99, 0, b""),
    ],
)
def test_a_part_is_short_only_at_the_end(stored: Fill, start: int, length: int, expected: bytes) -> None:
    """From the end on there is nothing, which is no error."""
    with stored({"k": b"0123456789"}).reader("k", start) as stream:
        assert stream.read(length) == expected


@pytest.mark.parametrize("start", [0, 3])
def test_any_part_of_an_empty_object_is_empty(stored: Fill, start: int) -> None:
    """It has no bytes to give."""
    with stored({"k": b""}).reader("k", start) as stream:
        assert stream.read() == b""


def test_a_negative_start_is_refused(stored: Fill) -> None:
    """It is not counted from the end, as Python would."""
    with pytest.raises(ValueError, match="start=-1"):
        stored({"k": b"0123456789"}).reader("k", -1)


def test_a_missing_object_is_named(stored: Fill, tmp_path: Path) -> None:
    """Every way of reading raises `NoSuchKeyError` with the key, streams when they are opened; `stat` says None."""
    store = stored({"there": b"x"})
    for key in ("absent", "there/below", "absent/below"):
        readings: list[Callable[[str], object]] = [
            store.get,
            store.reader,
            lambda key: store.reader(key, 5),
            lambda key: store.get_file(key, tmp_path / "file"),
        ]
        for read in readings:
            with pytest.raises(NoSuchKeyError, match=key):
                read(key)
        assert store.stat(key) is None
    assert not (tmp_path / "file").exists()


def test_a_folder_is_no_object(stored: Fill) -> None:
    """What a key's path goes through is not there itself."""
    store = stored({"folder/key": b"x"})
    assert store.stat("folder") is None
    with pytest.raises(NoSuchKeyError):
        store.get("folder")


def test_a_stream_is_read_in_pieces(stored: Fill) -> None:
    """Small reads and lines add up to the object, and after its end comes nothing."""
    with stored({"k": DATA}).reader("k") as stream:
        head = stream.read(10)
        line = stream.readline()
        rest = b"".join(iter(lambda: stream.read(70_001), b""))
        assert stream.read() == b""
    assert head == DATA[:10]
    assert line.endswith(b"\n")
    assert head + line + rest == DATA


def test_a_stream_may_be_left_before_its_end(stored: Fill) -> None:
    """Nothing is left open, and the store goes on."""
    store = stored({"k": DATA})
    for _ in range(3):
        with store.reader("k") as stream:
            assert stream.read(5) == DATA[:5]
    assert store.get("k") == DATA


def test_a_file_is_fetched_whole(stored: Fill, tmp_path: Path) -> None:
    """`get_file` replaces what was there and leaves nothing beside it."""
    target = tmp_path / "into" / "file"
    target.parent.mkdir()
    target.write_text("old")
    stored({"k": DATA}).get_file("k", target)
    assert target.read_bytes() == DATA
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("key", ["with space", "ümläut/日本", "a+b%20c", "q?x=1&y#z", "~!$'()*,;:@[]{}|\\^`\""])
def test_any_letters_may_be_in_a_key(stored: Fill, key: str) -> None:
    """What has a meaning in addresses is nothing special in a key."""
    store = stored({key: b"found", "other": b""})
    assert store.get(key) == b"found"
    assert store.stat(key) == ObjectInfo(key, 5)


def test_every_store_satisfies_the_protocol(stored: Fill) -> None:
    """They all have all of its methods."""
    assert isinstance(stored({}), ObjectStore)


def test_check_accepts_a_store_that_is_there(stored: Fill) -> None:
    """It returns, and leaves nothing behind."""
    store = stored({"k": b"x"})
    store.check()
    assert store.get("k") == b"x"


@pytest.mark.parametrize("start", [0, 3, 10, 11, 1000])
def test_a_reader_may_begin_later(stored: Fill, start: int) -> None:
    """From an offset on; from the end on there is nothing."""
    store = stored({"a/b": b"0123456789"})
    with store.reader("a/b", start) as stream:
        assert stream.read() == b"0123456789"[start:]
