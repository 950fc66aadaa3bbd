"""Listing and deleting, in every store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from kubemr.storage import DirectoryStore, InvalidKeyError, ObjectInfo, ObjectStore
from kubemr.storage.s3_requests import PAGE

KEYS = ["a-b/x", "a/b/c", "a/b.txt", "a.txt", "a0", "b/1", "b/10", "b/2", "ä/z", "z", "𝄞", "ﬀ"]


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    """The keys listed below a prefix."""
    return [item.key for item in store.list(prefix)]


def test_keys_are_sorted_by_their_bytes(store: ObjectStore) -> None:
    """Not folder by folder, not by Python's code points in surrogates, not as a language sorts."""
    for key in KEYS:
        store.put(key, key.encode())
    expected = sorted(KEYS, key=str.encode)
    assert list(store.list("")) == [ObjectInfo(key, len(key.encode())) for key in expected]


@pytest.mark.parametrize("prefix", ["a", "a/", "a/b", "a/b/", "b/1", "b/", "nothing", "nothing/", "z", "z/", "ä"])
def test_a_prefix_is_the_beginning_of_a_key(store: ObjectStore, prefix: str) -> None:
    """Whether it ends within a segment or with a slash."""
    for key in KEYS:
        store.put(key, b"")
    assert keys(store, prefix) == sorted((key for key in KEYS if key.startswith(prefix)), key=str.encode)


def test_a_bad_prefix_is_refused_at_once(store: ObjectStore) -> None:
    """Not only when the listing is read."""
    with pytest.raises(InvalidKeyError, match=r"segment '\.\.'"):
        store.list("../")


def test_long_listings_are_read_page_by_page(store: ObjectStore) -> None:
    """More keys than a page are all there, can be deleted while they are listed, and their number is told."""
    expected = [f"many/{number:04}" for number in range(PAGE + 5)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: store.put(key, b"x"), expected))
    store.put("many-others", b"")
    assert [item.key for item in islice(store.list("many/"), 3)] == expected[:3]
    assert keys(store, "many/") == expected
    assert store.delete_prefix("many") == len(expected)
    assert keys(store) == ["many-others"]


def test_deleting_removes_one_object(store: ObjectStore) -> None:
    """It and nothing else; what is not there is no error."""
    for key in ("a/b", "a/bc", "a/b c"):
        store.put(key, b"")
    store.delete("a/b")
    store.delete("a/b")
    store.delete("a")
    store.delete("a/bc/below")
    store.delete("never/there")
    assert keys(store) == ["a/b c", "a/bc"]


@pytest.mark.parametrize("prefix", ["job-1", "job-1/"])
def test_deleting_a_prefix_keeps_to_its_folder(store: ObjectStore, prefix: str) -> None:
    """`job-1` is not `job-10`, nor an object of that name."""
    for key in ("job-1/a", "job-1/b/c", "job-10/a", "job-2", "other/job-1/a"):
        store.put(key, b"")
    assert store.delete_prefix(prefix) == 2
    assert store.delete_prefix(prefix) == 0
    assert keys(store) == ["job-10/a", "job-2", "other/job-1/a"]


def test_what_is_to_be_kept_stays(store: ObjectStore) -> None:
    """By its whole key, in whatever folder; the rest goes, and is counted."""
    for key in ("job/a/log", "job/a/b", "job/a/c/log", "job/log", "job/d", "other/d"):
        store.put(key, b"")
    assert store.delete_prefix("job", lambda key: key in ("job/a/log", "job/a/c/log")) == 3
    assert keys(store) == ["job/a/c/log", "job/a/log", "other/d"]
    assert store.delete_prefix("job", lambda key: True) == 0


@pytest.mark.parametrize("prefix", ["", "/", "a/../b", "//"])
def test_a_prefix_that_means_too_much_is_refused(store: ObjectStore, prefix: str) -> None:
    """An empty variable cannot delete a whole store."""
    store.put("a", b"")
    with pytest.raises(InvalidKeyError):
        store.delete_prefix(prefix)
    assert keys(store) == ["a"]


def test_an_empty_store_lists_nothing(store: ObjectStore) -> None:
    """Also a directory that was never made."""
    assert keys(store) == []
    assert keys(store, "a/b") == []
    assert store.delete_prefix("a") == 0


def test_writers_and_deleters_do_not_hinder_each_other(directory_store: DirectoryStore) -> None:
    """Folders are removed when they are empty while other threads write into them: every write succeeds."""

    def work(worker: int) -> None:
        for number in range(300):
            directory_store.put(f"a/b/c/{worker}", b"x")
            if number % 2:
                directory_store.delete(f"a/b/c/{worker}")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert keys(directory_store) == []
