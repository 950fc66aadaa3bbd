"""The states of many tasks, a few bytes each."""

from __future__ import annotations

import sys

from kubemr.coordination.task_table import MISSING, TaskTable


def test_what_was_noted_is_there_by_number() -> None:
    """What was not is missing, and what is noted again is replaced."""
    table = TaskTable(4)
    table.add_shard({"0": "a", "2": "b"})
    table.add_shard({"3": "a", "2": "c"})
    assert [table.text(number) for number in range(6)] == ["a", "", "c", "a", "", ""]
    assert {table.texts[place] for place in table.states} == {"a", "", "c"}
    assert MISSING in table.states
    assert not table.has_unknown_tasks


def test_each_task_in_order() -> None:
    """By the places of strings: all of them, or those with some."""
    table = TaskTable(3)
    table.add_shard({"2": "x", "0": "x", "1": "y"})
    place = {text: number for number, text in enumerate(table.texts)}
    assert list(table.map_states({place["x"]: "X", place["y"]: "Y"})) == ["X", "Y", "X"]
    assert list(table.tasks_in({place["x"]})) == [0, 2]


def test_a_number_that_the_stage_does_not_have() -> None:
    """It is not kept, and known to have been there."""
    for tasks in ({"3": "x", "0": "x"}, {"0-3": "x"}):
        table = TaskTable(3)
        table.add_shard(tasks)
        assert table.has_unknown_tasks
        assert (table.text(-1), table.text(0), table.text(3)) == ("", "x", "")


def test_one_entry_tells_of_many_tasks() -> None:
    """Of all of a shard, and what each has afterwards replaces it."""
    table = TaskTable(6)
    table.add_shard({"2-4": "x"})
    assert [table.text(number) for number in range(6)] == ["", "", "x", "x", "x", ""]
    table.add_shard({"2": "x", "3": "y", "4": "x"})
    assert [table.text(number) for number in range(6)] == ["", "", "x", "y", "x", ""]


def test_a_string_is_kept_once() -> None:
    """However many tasks have it."""
    table = TaskTable(10_000)
    for begin in range(0, 10_000, 100):
        table.add_shard({str(number): f"done/1/0/0/w{number % 2}-aaaaaa" for number in range(begin, begin + 100)})
    assert len(table.texts) == 3
    assert sys.getsizeof(table._positions) < 45_000
