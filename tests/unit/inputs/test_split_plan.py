"""A plan: the inputs of all map tasks, written in chunks, in slices of about a second."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kubemr.controller.inputs import plan as planning
from kubemr.controller.inputs.access import InputsError
from kubemr.controller.inputs.plan import SPLITS_PER_CHUNK, TASKS_PER_CHUNK, SplitPlan
from kubemr.locks.effects import Json
from kubemr.storage import DirectoryStore
from support.inputplaces import Place


def made(folder: Place, spec: Json, clock: Iterator[float] | None = None) -> SplitPlan:
    """Return a split plan for that spec, written to the same directory."""
    plan = SplitPlan(
        "1-abc", spec, folder.access, folder.store, "job/", (lambda: next(clock)) if clock else (lambda: 0.0)
    )
    assert plan.prefix == "job/inputs/1-abc/"
    return plan


def chunks(folder: Place) -> list[list[str]]:
    """Return what was written."""
    keys = [item.key for item in folder.store.list("job/inputs/1-abc/")]
    return [json.loads(folder.store.get(f"job/inputs/1-abc/{number}.json")) for number in range(len(keys))]


def manifest(folder: Place, count: int) -> Json:
    """Return a spec with this number of inputs, and the inputs."""
    folder.store.put("list", "".join(f"s3://b/{number}\n" for number in range(count)).encode())
    return {"inputsFrom": [{"manifest": f"{folder.root}list"}]}


@pytest.mark.parametrize("count", [1, TASKS_PER_CHUNK - 1, TASKS_PER_CHUNK, 2 * TASKS_PER_CHUNK + 5])
def test_each_file_is_a_task_in_order(folder: Place, count: int) -> None:
    """Task *i* is at place *i* modulo the chunk's size of its chunk."""
    plan = made(folder, manifest(folder, count))
    assert plan.step()
    written = chunks(folder)
    assert [text for chunk in written for text in chunk] == [f"s3://b/{number}" for number in range(count)]
    assert {len(chunk) for chunk in written[:-1]} <= {TASKS_PER_CHUNK}
    assert plan.status() == {
        "plan": "1-abc",
        "tasks": count,
        "tasksPerChunk": TASKS_PER_CHUNK,
        "files": count,
        "bytes": 0,
    }


def test_it_goes_on_where_it_stopped(folder: Place) -> None:
    """A step ends after its time; the result is the same."""
    plan = made(folder, manifest(folder, 3000), iter(float(number) for number in range(1000)))
    steps = 1
    while not plan.step():
        steps += 1
    assert steps == 3000 // 64 + 1
    assert [text for chunk in chunks(folder) for text in chunk] == [f"s3://b/{number}" for number in range(3000)]


def test_a_search_that_finds_little_can_be_stopped(folder: Place) -> None:
    """Also between two files."""
    folder.fill(*(f"x/{number}" for number in range(3)), "y")
    plan = made(folder, {"inputsFrom": [{"glob": f"{folder.root}**/y"}]}, iter([0.0, 2.0, 3.0]))
    assert not plan.step()
    assert plan.step()
    assert chunks(folder) == [[f"{folder.root}y"]]


def test_splits_are_in_small_chunks(folder: Place) -> None:
    """A task's input may be a long list of files: of a shard's tasks they are in one chunk."""
    urls = folder.fill(*(f"x/{number:03d}" for number in range(100)))
    plan = made(folder, {"inputsFrom": [{"prefix": f"{folder.root}x/"}], "split": {"maxFiles": 2}})
    assert plan.step()
    written = chunks(folder)
    assert [len(chunk) for chunk in written] == [SPLITS_PER_CHUNK, 50 - SPLITS_PER_CHUNK]
    assert json.loads(written[1][-1]) == {"files": [{"url": url} for url in urls[-2:]]}
    assert (plan.status()["files"], plan.status()["bytes"]) == (100, 500)


@pytest.mark.parametrize(
    ("more", "remedy"), [({}, "pack several files into a task by split"), ({"split": {}}, r"raise split\.size")]
)
def test_there_is_a_bound(folder: Place, monkeypatch: pytest.MonkeyPatch, more: Json, remedy: str) -> None:
    """Of tasks; it is named, and what to do."""
    assert planning.MAX_TASKS == 1_000_000
    monkeypatch.setattr(planning, "MAX_TASKS", 3)
    folder.store.put("list", "".join(f"s3://b/{number}\t{2**26}\n" for number in range(4)).encode())
    plan = (
        made(folder, {**manifest(folder, 4), **more})
        if not more
        else made(folder, {"inputsFrom": [{"manifest": f"{folder.root}list"}], **more})
    )
    with pytest.raises(InputsError, match=rf"spec\.inputsFrom: leads to more than 3 map tasks; remedy: {remedy}"):
        plan.step()


@pytest.mark.parametrize("more", [{}, {"split": {"size": "1Pi"}}])
def test_the_bytes_of_all_files_have_a_bound(folder: Place, more: Json) -> None:
    """What the job's status can say, and a JSON reader hold."""
    spec = {"inputsFrom": [{"manifest": f"{folder.root}list"}], **more}
    folder.store.put("list", f"s3://b/x\t{2**53 - 1}\ns3://b/y\t1\n".encode())
    plan = made(folder, spec)
    assert plan.step()
    assert plan.status()["bytes"] == 2**53
    folder.store.put("list", f"s3://b/x\t{2**53 - 1}\ns3://b/y\t2\n".encode())
    message = (
        r"^spec\.inputsFrom: leads to files of more than 9,007,199,254,740,992 bytes together; remedy: correct the s"
    )
    with pytest.raises(InputsError, match=message):
        made(folder, spec).step()


def test_the_same_files_make_the_same_plan(folder: Place) -> None:
    """Byte for byte."""
    assert isinstance(folder.store, DirectoryStore)
    spec = manifest(folder, 2000)
    assert made(folder, spec).step()
    before = chunks(folder)
    folder.store.delete_prefix("job/inputs")
    assert made(folder, spec).step()
    assert chunks(folder) == before
