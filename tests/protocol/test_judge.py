"""The judge catches a worker that writes the tasks of a shard in a form that they may not have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define, field

from kubemr.locks.config import Server
from kubemr.locks.effects import JSON_PATCH, Request, Resource
from kubemr.locks.http import HttpTransport
from kubemr.locks.lease import LEASES
from kubemr.tasks.shard import SHARDS
from support.protocoljudge import Foul
from support.protocolstage import Stage

TOKEN = "w0-abcdef"
PENDING, MINE = "pending/1/0/0/", f"running/1/0/0/{TOKEN}"
ONE = {"0-2": PENDING}
EACH = {"0": PENDING, "1": PENDING, "2": PENDING}
FIRST = {**EACH, "0": MINE}

ALL = "/tasks"

Operation = dict[str, Any]


def replace(value: Any, path: str = ALL) -> Operation:
    """Without a test."""
    return {"op": "replace", "path": path, "value": value}


def swap(old: Any, new: Any, path: str = ALL) -> list[Operation]:
    """Under a test."""
    return [{"op": "test", "path": path, "value": old}, replace(new, path)]


@define
class Hand:
    """Writes by hand as worker 0 does, which has its Lease."""

    stage: Stage
    transport: HttpTransport = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.stage.judge.indexes = {"worker-0": 0}
        self.transport = HttpTransport(Server(self.stage.proxy.url, token="worker-0"))
        holder = "/spec/holderIdentity"
        lease = f"{self.stage.job.base}-w-0"
        self.patch(LEASES, lease, [swap(None, TOKEN, holder)[0], {"op": "add", "path": holder, "value": TOKEN}])

    def patch(self, resource: Resource, name: str, operations: list[Operation]) -> bool:
        """True when it has landed."""
        query = {"fieldManager": "kubemr"}
        request = Request("patch", resource, "default", name, query=query, body=operations, content_type=JSON_PATCH)
        return self.transport.send(request).ok

    def tasks(self, operations: list[Operation]) -> bool:
        """The same, of the shard of the map stage."""
        return self.patch(SHARDS, self.stage.job.shard_name(self.stage.job.stages[0], 0), operations)

    def judged(self) -> None:
        """Raises `Foul`."""
        self.stage.judge.judge(self.stage.proxy.records)


@pytest.fixture
def hand(stage: Stage) -> Iterator[Hand]:
    """With a shard of three tasks."""
    stage.deploy({"a": b"x", "b": b"y", "c": b"z"}, replicas=1)  # nobody shares the shard
    made = Hand(stage)
    yield made
    made.transport.close()


def test_a_shard_that_is_spread_and_goes_on_by_task(hand: Hand) -> None:
    """What the page allows is no foul."""
    assert hand.tasks(swap(ONE, FIRST))
    assert hand.tasks(swap(MINE, "pending/2/0/0/", "/tasks/0"))
    assert hand.tasks(swap({**EACH, "0": "pending/2/0/0/"}, {"0": f"running/2/0/0/{TOKEN}", "1": MINE, "2": MINE}))
    hand.judged()
    assert hand.stage.tasks()[0] == f"running/2/0/0/{TOKEN}"


def test_one_entry_is_judged_task_by_task(hand: Hand) -> None:
    """The first claim of a worker is of one task, and not of three by one entry."""
    assert hand.tasks(swap(ONE, {"0-2": MINE}))
    with pytest.raises(Foul, match="the first claim is of 3 tasks"):
        hand.judged()


def test_an_illegal_change_of_one_entry(hand: Hand) -> None:
    """It is told by the first of its tasks, or any other."""
    assert hand.tasks(swap(ONE, {"0-2": f"done/1/0/0/{TOKEN}"}))
    with pytest.raises(Foul, match=r"task [012]: pending/1/0/0/ -> done/1/0/0/w0-abcdef is no legal change"):
        hand.judged()


FOULS = {
    "'0-1' is one of several entries": swap(ONE, {"0-1": MINE, "2": PENDING}),
    "'0..2' names no tasks": swap(ONE, {"0..2": MINE}),
    "'00' names no tasks": swap(ONE, {"00": MINE, "1": PENDING, "2": PENDING}),
    "'2-1' is not from a first task to a later one": swap(ONE, {"2-1": MINE}),
    "'1-1' is not from a first task to a later one": swap(ONE, {"1-1": MINE}),
    "'0-512' is not from a first task to a later one, 512 in all at most": swap(ONE, {"0-512": MINE}),
    "replaces all tasks without a test of all": [replace({"0-2": MINE})],
    "replaces all tasks without a test of all:": list(reversed(swap(ONE, {"0-2": MINE}))),
    "replaces all tasks by others": swap(ONE, {"0-1": MINE}),
    "writes an entry for each of tasks that are all alike": swap(ONE, dict.fromkeys(EACH, MINE)),
    "writes /tasks/0-2": swap(PENDING, MINE, "/tasks/0-2"),
    "changes /tasks/0 where one entry tells of all tasks": [swap(ONE, {})[0], replace(MINE, "/tasks/0")],
    "is to remove /tasks": [swap(ONE, {})[0], {"op": "remove", "path": "/tasks"}],
}


@pytest.mark.parametrize(("words", "operations"), FOULS.items(), ids=FOULS)
def test_a_foul_with_one_entry(hand: Hand, words: str, operations: list[Operation]) -> None:
    """Whatever comes of it."""
    hand.tasks(operations)
    with pytest.raises(Foul, match=re.escape(words)):
        hand.judged()


FOULS_APART = {
    "goes back from an entry for each task to one": swap(FIRST, {"0-2": MINE}),
    "changes /tasks/1 without a test of the old string": [swap(MINE, "", "/tasks/0")[0], replace(MINE, "/tasks/1")],
    "changes /tasks/1 without a test of the old string:": list(reversed(swap(PENDING, MINE, "/tasks/1"))),
    "replaces all tasks without a test of all": [
        *(swap(state, "", f"/tasks/{number}")[0] for number, state in FIRST.items()),
        replace(dict.fromkeys(EACH, MINE)),
    ],
    "is to remove /tasks/1": [swap(PENDING, "", "/tasks/1")[0], {"op": "remove", "path": "/tasks/1"}],
}


@pytest.mark.parametrize(("words", "operations"), FOULS_APART.items(), ids=FOULS_APART)
def test_a_foul_with_an_entry_each(hand: Hand, words: str, operations: list[Operation]) -> None:
    """The same, of a shard that was spread."""
    assert hand.tasks(swap(ONE, FIRST))
    hand.judged()
    hand.tasks(operations)
    with pytest.raises(Foul, match=re.escape(words)):
        hand.judged()
