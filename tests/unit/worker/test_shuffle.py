"""What a reduce task reads."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from kubemr.coordination.outputs import Index, encode_outputs
from kubemr.storage.directory import DirectoryStore
from kubemr.storage.errors import NoSuchKeyError
from kubemr.worker.input.shuffle import ShuffleError, ShuffleReader

INDEX = "job/run-1/0-map.index.json"
SOURCE = "job/0/map/"


class CountingStore(DirectoryStore):
    """A directory that remembers how often each key was read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: Counter[str] = Counter()

    def get(self, key: str) -> bytes:
        """Read and count."""
        self.reads[key] += 1
        return super().get(key)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    """An empty one."""
    return CountingStore(tmp_path)


def write_stage(store: DirectoryStore, tasks: list[dict[int, str]], index: str = INDEX) -> None:
    """Write a map stage whose tasks had these outputs, `{}` for `empty`."""
    attempts = [f"1-w{number % 3}-abc123" if outputs else "" for number, outputs in enumerate(tasks)]
    for number, outputs in enumerate(tasks):
        if outputs:
            store.put(f"{SOURCE}{number}/{attempts[number]}/outputs.json", encode_outputs(outputs))
    store.put(index, Index(attempts).encode())


def reader(store: DirectoryStore, **options: int) -> ShuffleReader:
    """Return a reader of reduce inputs."""
    return ShuffleReader(store, lambda: None, **options)


def test_inputs_come_in_order_of_map_tasks(store: CountingStore) -> None:
    """Tasks without output, or without output in this partition, are left out; an empty string is not."""
    write_stage(store, [{0: f"{number}-0", number % 3: f"{number}-x"} if number % 5 else {} for number in range(700)])
    expected = [f"{n}-x" if n % 3 == 0 else f"{n}-0" for n in range(700) if n % 5]
    assert reader(store).inputs(INDEX, SOURCE, 0) == expected
    assert reader(store).inputs(INDEX, SOURCE, 2) == [f"{n}-x" for n in range(700) if n % 5 and n % 3 == 2]
    assert reader(store).inputs(INDEX, SOURCE, 3) == []
    write_stage(store, [{0: ""}, {1: "b"}])
    assert reader(store).inputs(INDEX, SOURCE, 0) == [""]


def test_an_attempt_that_does_not_count_is_never_read(store: CountingStore) -> None:
    """Only what the index names."""
    write_stage(store, [{0: "right"}])
    store.put(f"{SOURCE}0/2-w9-zzz999/outputs.json", encode_outputs({0: "wrong"}))
    assert reader(store).inputs(INDEX, SOURCE, 0) == ["right"]


def test_outputs_are_read_once_for_all_partitions(store: CountingStore) -> None:
    """The next reduce task of the same stage finds them."""
    write_stage(store, [{0: "a", 1: "b"}] * 20)
    shuffle = reader(store)
    assert shuffle.inputs(INDEX, SOURCE, 0) == ["a"] * 20
    assert shuffle.inputs(INDEX, SOURCE, 1) == ["b"] * 20
    assert set(store.reads.values()) == {1}


def test_what_is_kept_is_bounded(store: CountingStore) -> None:
    """With room for about half of it, about half is read again: not all of it, as with the oldest thrown out."""
    write_stage(store, [{0: "a" * 90, 1: "b"}] * 100)
    shuffle = reader(store, cache_bytes=55 * 100)
    shuffle.inputs(INDEX, SOURCE, 0)
    store.reads.clear()
    assert shuffle.inputs(INDEX, SOURCE, 1) == ["b"] * 100
    assert 30 <= sum(store.reads.values()) <= 65


def test_another_stage_is_read_again(store: CountingStore) -> None:
    """A retry of the job has another index, and other attempts may count in it."""
    write_stage(store, [{0: "first"}])
    shuffle = reader(store)
    assert shuffle.inputs(INDEX, SOURCE, 0) == ["first"]
    store.put(f"{SOURCE}0/7-w1-def456/outputs.json", encode_outputs({0: "second"}))
    store.put("job/run-2/0-map.index.json", Index(["7-w1-def456"]).encode())
    assert shuffle.inputs("job/run-2/0-map.index.json", SOURCE, 0) == ["second"]


def test_missing_outputs_are_an_error_and_never_empty(store: CountingStore) -> None:
    """The error names the key."""
    write_stage(store, [{0: "a"}, {0: "b"}])
    store.delete(f"{SOURCE}1/1-w1-abc123/outputs.json")
    with pytest.raises(ShuffleError, match=r"file://.*job/0/map/1/1-w1-abc123/outputs\.json: missing, although"):
        reader(store).inputs(INDEX, SOURCE, 0)


def test_a_missing_index_is_an_error(store: CountingStore) -> None:
    """The error names the key."""
    with pytest.raises(NoSuchKeyError, match=r"0-map\.index\.json"):
        reader(store).inputs(INDEX, SOURCE, 0)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"total": 3, "attempts": ["a"]}', b"\xff"])
def test_a_damaged_index_is_an_error(store: CountingStore, data: bytes) -> None:
    """The error has its address."""
    store.put(INDEX, data)
    with pytest.raises(ShuffleError, match=r"file://.*0-map\.index\.json: "):
        reader(store).inputs(INDEX, SOURCE, 0)


@pytest.mark.parametrize("data", [b"", b"[]", json.dumps({"0": 7}).encode(), json.dumps({"a": "b"}).encode()])
def test_damaged_outputs_are_an_error(store: CountingStore, data: bytes) -> None:
    """The error has their address."""
    write_stage(store, [{0: "a"}])
    store.put(f"{SOURCE}0/1-w0-abc123/outputs.json", data)
    with pytest.raises(ShuffleError, match=r"file://.*0/map/0/1-w0-abc123/outputs\.json: "):
        reader(store).inputs(INDEX, SOURCE, 0)


def test_progress_is_reported_while_reading(store: CountingStore) -> None:
    """A stage of many tasks takes longer to read than a task may be silent."""
    write_stage(store, [{0: "a"}] * 30)
    calls: list[None] = []
    ShuffleReader(store, lambda: calls.append(None)).inputs(INDEX, SOURCE, 0)
    assert len(calls) == 30
