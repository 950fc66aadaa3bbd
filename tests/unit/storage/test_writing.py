"""An object appears whole or not at all, in every store."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from pathlib import Path

import pytest

from kubemr.storage import InvalidKeyError, ObjectInfo, ObjectStore
from kubemr.storage.keys import SEGMENT_BYTES

PART = 5 * 1024 * 1024


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 77])
def test_objects_of_any_size_are_written(store: ObjectStore, size: int) -> None:
    """Around the size of a part too, where one request becomes an upload of several."""
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    store.put("k", data)
    assert store.stat("k") == ObjectInfo("k", size)
    assert store.get("k") == data


def test_a_second_put_replaces_the_first(store: ObjectStore) -> None:
    """The same key holds one object, the last."""
    store.put("k", b"a longer first")
    store.put("k", b"second")
    store.put("k", b"second")
    assert store.get("k") == b"second"
    assert list(store.list("")) == [ObjectInfo("k", 6)]


@pytest.mark.parametrize("size", [100, 2 * PART + 77])
def test_what_is_being_written_is_invisible(store: ObjectStore, size: int) -> None:
    """Until the block ends there is no such object, and a former one stays as it was."""
    store.put("old", b"old")
    for key in ("new", "old"):
        before = store.stat(key)
        with store.writer(key) as stream:
            stream.write(b"x" * size)
            stream.flush()
            assert store.stat(key) == before
            assert [item.key for item in store.list("")] == (["old"] if key == "new" else ["new", "old"])
        assert store.stat(key) == ObjectInfo(key, size)


@pytest.mark.parametrize("error", [RuntimeError("user's"), KeyboardInterrupt()])
@pytest.mark.parametrize("size", [0, 100, 2 * PART + 77])
def test_an_exception_leaves_nothing(store: ObjectStore, size: int, error: BaseException) -> None:
    """The exception goes on as it is; a former object stays."""
    store.put("kept", b"old")
    for key in ("folder/new", "kept"):
        with pytest.raises(type(error)) as raised, store.writer(key) as stream:  # noqa: PT012
            stream.write(b"x" * size)
            raise error
        assert raised.value is error
    assert list(store.list("")) == [ObjectInfo("kept", 3)]
    assert store.get("kept") == b"old"


def test_wrappers_may_close_the_stream(store: ObjectStore) -> None:
    """Text and gzip wrappers close the stream that they wrap; the object is whole anyway."""
    with store.writer("text") as stream, io.TextIOWrapper(stream, "utf-8") as text:
        text.write("grüße\n")
    with store.writer("zip") as stream, gzip.open(stream, "wb") as packed:
        packed.write(b"packed")
    assert store.get("text") == "grüße\n".encode()
    assert gzip.decompress(store.get("zip")) == b"packed"


def test_a_closed_stream_does_not_make_the_object(store: ObjectStore) -> None:
    """Closing is not the block's end: an exception after it still leaves nothing."""
    with pytest.raises(RuntimeError), store.writer("k") as stream:  # noqa: PT012
        stream.write(b"x")
        stream.close()
        raise RuntimeError
    assert store.stat("k") is None


def test_many_small_writes_are_one_object(store: ObjectStore) -> None:
    """Whatever the sizes of the pieces."""
    pieces = [bytes([number % 256]) * (number * 37 % 5000) for number in range(2000)]
    with store.writer("k") as stream:
        for piece in pieces:
            stream.write(piece)
    assert store.get("k") == b"".join(pieces)


def test_streams_need_little_memory(store: ObjectStore) -> None:
    """Of an object of 12 parts, no more than two are held at once while writing, and far less while reading."""
    piece = b"x" * 1_000_000
    tracemalloc.start()
    try:
        with store.writer("k") as stream:
            for _ in range(63):
                stream.write(piece)
        _, written = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        with store.reader("k") as stream:
            assert sum(map(len, iter(lambda: stream.read(100_000), b""))) == 63_000_000
        _, read = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert written < 3 * PART
    assert read < PART


def test_a_file_is_stored(store: ObjectStore, tmp_path: Path) -> None:
    """`put_file` and `get_file` are inverse to each other."""
    source = tmp_path / "source"
    source.write_bytes(b"line\n" * (PART // 4))
    store.put_file("a/b", source)
    store.get_file("a/b", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


def test_a_missing_local_file_is_the_callers_error(store: ObjectStore, tmp_path: Path) -> None:
    """It is no error of the store, and no object appears."""
    with pytest.raises(FileNotFoundError):
        store.put_file("k", tmp_path / "absent")
    assert list(store.list("")) == []


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("", "it is empty"),
        ("/a", "begins with a slash"),
        ("a//b", "empty segment"),
        ("a/", "empty segment"),
        ("..", "segment '..'"),
        ("a/../b", "segment '..'"),
        ("./a", "segment '.'"),
        ("a\nb", "control character"),
        ("a\0b", "control character"),
        ("a\ud800b", "Unicode"),
        ("x" * (SEGMENT_BYTES + 1), "more than 255 bytes"),
        ("é" * 128, "more than 255 bytes"),
        ("/".join(["x" * 100] * 11), "more than 1024"),
        ("a/.kubemr-part-1", "unfinished files"),
    ],
)
def test_what_cannot_be_a_key_is_refused(store: ObjectStore, key: str, wrong: str) -> None:
    """By every operation, before anything is sent, and with the reason."""
    for operation in (store.get, store.stat, store.delete, store.url, store.reader, lambda key: store.put(key, b"")):
        with pytest.raises(InvalidKeyError, match=wrong):
            operation(key)
    with pytest.raises(InvalidKeyError, match=wrong), store.writer(key):
        pass
    assert list(store.list("")) == []


def test_the_longest_segment_is_a_key(store: ObjectStore) -> None:
    """The bound is what it says."""
    key = f"{'x' * SEGMENT_BYTES}/{'y' * SEGMENT_BYTES}"
    store.put(key, b"x")
    assert [item.key for item in store.list("")] == [key]
