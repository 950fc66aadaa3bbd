"""A shard: what it shows, the patch of a change, and the label that is only a hint."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.tasks.shard import HINT_PATH, LARGEST_SHARD, Shard, hint_of
from kubemr.tasks.state import InvalidStateError, TaskState, Token
from support.bench import Bench

A, B = Token("w0-aaaaaa"), Token("w1-bbbbbb")
MIXED = {
    3: "pending/1/0/0/",
    4: f"running/1/0/0/{A}+{B}",
    5: f"done/1/0/0/{A}",
    6: f"empty/1/0/0/{B}",
    7: "failed/2/4/0/",
    10: f"running/1/0/0/{B}",
}


def parse(tasks: dict[int, str], hint: str | None = "open") -> Shard:
    """A shard that no server has seen."""
    labels = {} if hint is None else {"kubemr.turbobytes.com/tasks": hint}
    metadata = {"namespace": "default", "name": "s", "labels": labels}
    return Shard.parse({"metadata": metadata, "tasks": {str(number): text for number, text in tasks.items()}})


def test_what_a_shard_shows() -> None:
    """Tasks are in the order of their numbers, not of their keys as strings."""
    shard = parse(dict(reversed(MIXED.items())))
    assert list(shard.tasks) == [3, 4, 5, 6, 7, 10]
    assert shard.pending == [3]
    assert shard.failed == [7]
    assert not shard.committed
    assert shard.holders == {A, B}
    assert list(shard.held_by(A)) == [4]
    assert list(shard.held_by(B)) == [4, 10]
    assert str(shard.target) == "mapreducetaskshards default/s"
    assert parse({5: MIXED[5], 6: MIXED[6]}).committed


def test_a_shard_without_labels_has_no_hint() -> None:
    """A client removed them: the first change writes the hint again."""
    assert parse({0: "pending/1/0/0/"}, None).hint == ""


def test_a_string_that_is_no_state_is_an_error() -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidStateError, match="'lost'"):
        parse({0: "lost"})


@pytest.mark.parametrize(
    ("states", "hint"),
    [
        (["pending/1/0/0/", f"done/1/0/0/{A}"], "open"),
        ([f"running/1/0/0/{A}", f"done/1/0/0/{A}"], "drained"),
        (["failed/1/4/0/", f"done/1/0/0/{A}"], "drained"),
        ([f"empty/1/0/0/{A}", f"done/1/0/0/{A}"], "done"),
        ([], "done"),
    ],
)
def test_the_hint_of_tasks(states: list[str], hint: str) -> None:
    """docs/protocol.md, "A shard"."""
    assert hint_of({number: TaskState.parse(text) for number, text in enumerate(states)}) == hint


def test_every_changed_task_is_tested_before_it_is_replaced(bench: Bench, make_shard: Callable[..., Shard]) -> None:
    """All at once by the whole map, and the hint goes with them, if it changes."""
    shard = make_shard({0: "pending/1/0/0/", 1: "pending/1/0/0/"})
    one = shard.change({0: shard.tasks[0].claim(A)})
    assert [(op["op"], op["path"]) for op in one.operations] == [("test", "/tasks/0"), ("replace", "/tasks/0")]
    both = shard.change({number: state.claim(A) for number, state in shard.tasks.items()})
    assert both.operations == (
        {"op": "test", "path": "/tasks", "value": {"0": "pending/1/0/0/", "1": "pending/1/0/0/"}},
        {"op": "replace", "path": "/tasks", "value": {"0": f"running/1/0/0/{A}", "1": f"running/1/0/0/{A}"}},
        {"op": "add", "path": HINT_PATH, "value": "drained"},
    )
    after = Shard.parse(bench.patch(shard.target, *both.body))
    assert (after.hint, list(after.held_by(A))) == ("drained", [0, 1])


def test_a_change_of_all_tasks_is_lost_with_any_of_them(bench: Bench, make_shard: Callable[..., Shard]) -> None:
    """The test of the whole map is one of each."""
    shard = make_shard({0: "pending/1/0/0/", 1: "pending/1/0/0/"})
    bench.set(shard.target, "/tasks/1", f"running/1/0/0/{B}")
    answer = bench.send(shard.target.patch(shard.change({n: state.claim(A) for n, state in shard.tasks.items()})))
    assert answer.status == 422
    assert Shard.parse(bench.get(shard.target)).held_by(A) == {}


ALIKE = dict.fromkeys(range(3, 7), "pending/1/0/0/")


def test_one_entry_stays_one_while_all_tasks_go_the_same_way(bench: Bench, make_shard: Callable[..., Shard]) -> None:
    """The whole map is tested and replaced, which is little."""
    shard = make_shard(ALIKE, collapsed=True)
    assert {number: str(state) for number, state in shard.tasks.items()} == ALIKE
    patch = shard.change({number: state.claim(A) for number, state in shard.tasks.items()})
    assert patch.operations == (
        {"op": "test", "path": "/tasks", "value": {"3-6": "pending/1/0/0/"}},
        {"op": "replace", "path": "/tasks", "value": {"3-6": f"running/1/0/0/{A}"}},
        {"op": "add", "path": HINT_PATH, "value": "drained"},
    )
    after = Shard.parse(bench.patch(shard.target, *patch.body))
    assert list(after.held_by(A)) == [3, 4, 5, 6]
    assert after.collapsed


def test_one_entry_becomes_one_for_each_for_good(bench: Bench, make_shard: Callable[..., Shard]) -> None:
    """With the first change of a part of them, or of all in two ways; the same state once more changes nothing."""
    claimed = {number: TaskState.parse(f"running/1/0/0/{A}") for number in ALIKE}
    for states in (
        {4: claimed[4]},
        {**claimed, 4: TaskState.parse(f"running/1/0/0/{B}")},
    ):
        shard = make_shard(ALIKE, collapsed=True)
        patch = shard.change(states)
        after = {str(number): str(states.get(number, ALIKE[number])) for number in ALIKE}
        assert patch.operations[:2] == (
            {"op": "test", "path": "/tasks", "value": {"3-6": "pending/1/0/0/"}},
            {"op": "replace", "path": "/tasks", "value": after},
        )
        shard = Shard.parse(bench.patch(shard.target, *patch.body))
        assert not shard.collapsed
        done = shard.change({number: TaskState.parse(f"done/1/0/0/{A}") for number in ALIKE})
        assert set(done.operations[1]["value"]) == {"3", "4", "5", "6"}
        bench.delete(shard.target)


@pytest.mark.parametrize("sender", ["of a part", "of all"])
def test_a_change_of_one_entry_is_lost_once_there_are_more(
    bench: Bench, make_shard: Callable[..., Shard], sender: str
) -> None:
    """Also if another worker was faster and claimed any of the tasks."""
    shard = make_shard(ALIKE, collapsed=True)
    bench.patch(shard.target, *shard.change({6: shard.tasks[6].claim(B)}).body)
    wanted = [3] if sender == "of a part" else list(ALIKE)
    answer = bench.send(shard.target.patch(shard.change({number: shard.tasks[number].claim(A) for number in wanted})))
    assert answer.status == 422
    seen = Shard.parse(bench.get(shard.target))
    assert (list(seen.held_by(A)), list(seen.held_by(B))) == ([], [6])


def test_a_repair_tests_the_one_entry(bench: Bench, make_shard: Callable[..., Shard]) -> None:
    """As it stands in the document."""
    shard = make_shard(ALIKE, hint="done", collapsed=True)
    patch = shard.repair()
    assert patch is not None
    assert Shard.parse(bench.patch(shard.target, *patch.body)).hint == "open"


def test_a_change_of_nothing_is_no_patch() -> None:
    """Not even of the hint."""
    assert len(parse({0: "pending/1/0/0/"}, "done").change({})) == 0
    assert len(parse({}, "open").change({})) == 0


def test_a_repair_tests_the_whole_map(bench: Bench, make_shard: Callable[..., Shard]) -> None:
    """If a task has changed in between, the process that changed it writes the hint."""
    shard = make_shard({0: "pending/1/0/0/", 1: f"done/1/0/0/{A}"}, hint="done")
    patch = shard.repair()
    assert patch is not None
    assert patch.operations[0]["path"] == "/tasks"
    bench.set(shard.target, "/tasks/0", f"running/1/0/0/{B}")
    answer = bench.send(shard.target.patch(patch))
    assert answer.status == 422
    assert Shard.parse(bench.get(shard.target)).hint == "done"


def test_a_hint_that_fits_and_one_that_waits_are_left_alone() -> None:
    """`waiting` is right before the stage begins, and the shard does not say whether it has begun."""
    assert parse({0: "pending/1/0/0/"}).repair() is None
    assert parse({0: "pending/1/0/0/"}, "waiting").repair() is None


@given(st.sets(st.integers(0, LARGEST_SHARD - 1), min_size=1))
def test_any_set_of_pending_tasks_can_be_claimed_in_one_patch(claimed: set[int]) -> None:
    """Two operations for each, or for all at once, and then one for the hint, as nothing is left."""
    shard = parse(dict.fromkeys(range(LARGEST_SHARD), "pending/1/0/0/"))
    patch = shard.change({number: shard.tasks[number].claim(A) for number in claimed})
    assert len(patch) == (3 if len(claimed) == LARGEST_SHARD else 2 * len(claimed))
