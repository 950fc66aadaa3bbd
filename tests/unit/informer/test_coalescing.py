"""The buffer merges the changes that a handler has not received: bounded, in order, and true."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.controller.informer.buffer import Buffer
from kubemr.controller.informer.changes import Added, Change, Deleted, Updated, merge
from support.informers import pod

A1, A2, A3 = (pod("a", version) for version in (1, 2, 3))
OTHER = pod("a", 9, "other")


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ([Added(A1, True), Updated(A1, A2)], [Added(A2, True)]),
        ([Added(A1, False), Deleted(A1, False)], []),
        ([Updated(A1, A2), Updated(A2, A3)], [Updated(A1, A3)]),
        ([Updated(A1, A2), Deleted(A2, True)], [Deleted(A2, True)]),
        ([Deleted(A1, True), Added(OTHER, False)], [Deleted(A1, True), Added(OTHER, False)]),
        ([Deleted(A1, True), Added(OTHER, False), Deleted(OTHER, False)], [Deleted(A1, True)]),
    ],
)
def test_merging(changes: list[Change], received: list[Change]) -> None:
    """The table in `changes.merge`."""
    pending: list[Change] = []
    for change in changes:
        pending = merge(pending, change)
    assert pending == received


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["next", "take"])), max_size=60))
def test_a_handler_can_follow_what_it_hears(steps: list[tuple[str, str]]) -> None:
    """The received changes lead to the true state and never contradict each other; at most two wait for each key."""

    async def run() -> None:
        buffer = Buffer()
        truth: dict[str, int] = {}
        replica: dict[str, int] = {}

        async def take() -> None:
            change = await buffer.get()
            match change:
                case Added(obj, _):
                    assert obj["metadata"]["name"] not in replica
                    replica[obj["metadata"]["name"]] = int(obj["metadata"]["resourceVersion"])
                case Updated(old, new):
                    assert replica[old["metadata"]["name"]] == int(old["metadata"]["resourceVersion"])
                    replica[new["metadata"]["name"]] = int(new["metadata"]["resourceVersion"])
                case Deleted(obj, _):
                    del replica[obj["metadata"]["name"]]

        for version, (name, step) in enumerate(steps):
            if step == "take":
                if len(buffer):
                    await take()
            elif name not in truth:
                buffer.put(name, Added(pod(name, version), initial=False))
                truth[name] = version
            elif version % 3:
                buffer.put(name, Updated(pod(name, truth[name]), pod(name, version)))
                truth[name] = version
            else:
                buffer.put(name, Deleted(pod(name, version), tombstone=False))
                del truth[name]
        waiting = 0
        while len(buffer):
            await take()
            waiting += 1
        assert waiting <= 6
        assert replica == truth

    asyncio.run(run())


async def test_a_mark_is_reached_when_what_was_before_it_has_been_dealt_with() -> None:
    """Also if that has been merged away; what comes after is not waited for."""
    buffer = Buffer()
    reached: list[str] = []
    buffer.put("a", Added(A1, True))
    buffer.put("b", Added(pod("b", 1), True))
    buffer.add_sync_marker(lambda: reached.append("mark"))
    buffer.put("c", Added(pod("c", 1), False))
    assert len(buffer) == 3
    await buffer.get()
    assert not reached
    buffer.put("b", Deleted(pod("b", 2), False))
    assert len(buffer) == 1
    assert await buffer.get() == Added(pod("c", 1), False)
    assert reached == ["mark"]


async def test_taking_waits_for_a_change() -> None:
    """A change that was merged away while the taker slept does not wake it with nothing."""
    buffer = Buffer()
    taker = asyncio.create_task(buffer.get())
    await asyncio.sleep(1)
    buffer.put("a", Added(A1, False))
    buffer.put("a", Deleted(A1, False))
    await asyncio.sleep(1)
    assert not taker.done()
    buffer.put("a", Added(A2, False))
    assert await taker == Added(A2, False)


async def test_both_objects_of_one_name_are_told_in_order() -> None:
    """The deletion first; a change that comes between the two is merged into the second."""
    buffer = Buffer()
    buffer.put("a", Deleted(A1, True))
    buffer.put("a", Added(OTHER, False))
    buffer.put("b", Added(pod("b", 1), False))
    assert await buffer.get() == Deleted(A1, True)
    newer = pod("a", 10, "other")
    buffer.put("a", Updated(OTHER, newer))
    assert await buffer.get() == Added(newer, False)
    assert await buffer.get() == Added(pod("b", 1), False)
