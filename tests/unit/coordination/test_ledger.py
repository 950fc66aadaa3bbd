"""The states of many tasks, a few bytes each."""

from __future__ import annotations

import sys

from kubemr.coordination.task_table import MISSING, TaskTable


def test_what_was_noted_is_there_by_number() -> None:
    """What was not is missing, and what is noted again is replaced."""
    ledger = TaskTable(4)
    ledger.add_shard({"0": "a", "2": "b"})
    ledger.add_shard({"3": "a", "2": "c"})
    assert [ledger.text(number) for number in range(6)] == ["a", "", "c", "a", "", ""]
    assert {ledger.texts[place] for place in ledger.states} == {"a", "", "c"}
    assert MISSING in ledger.states
    assert not ledger.has_unknown_tasks


def test_each_task_in_order() -> None:
    """By the places of strings: all of them, or those with some."""
    ledger = TaskTable(3)
    ledger.add_shard({"2": "x", "0": "x", "1": "y"})
    place = {text: number for number, text in enumerate(ledger.texts)}
    assert list(ledger.map_states({place["x"]: "X", place["y"]: "Y"})) == ["X", "Y", "X"]
    assert list(ledger.tasks_in({place["x"]})) == [0, 2]


def test_a_number_that_the_stage_does_not_have() -> None:
    """It is not kept, and known to have been there."""
    for tasks in ({"3": "x", "0": "x"}, {"0-3": "x"}):
        ledger = TaskTable(3)
        ledger.add_shard(tasks)
        assert ledger.has_unknown_tasks
        assert (ledger.text(-1), ledger.text(0), ledger.text(3)) == ("", "x", "")


def test_one_entry_tells_of_many_tasks() -> None:
    """Of all of a shard, and what each has afterwards replaces it."""
    ledger = TaskTable(6)
    ledger.add_shard({"2-4": "x"})
    assert [ledger.text(number) for number in range(6)] == ["", "", "x", "x", "x", ""]
    ledger.add_shard({"2": "x", "3": "y", "4": "x"})
    assert [ledger.text(number) for number in range(6)] == ["", "", "x", "y", "x", ""]


def test_a_string_is_kept_once() -> None:
    """However many tasks have it."""
    ledger = TaskTable(10_000)
    for begin in range(0, 10_000, 100):
        ledger.add_shard({str(number): f"done/1/0/0/w{number % 2}-aaaaaa" for number in range(begin, begin + 100)})
    assert len(ledger.texts) == 3
    assert sys.getsizeof(ledger._places) < 45_000
