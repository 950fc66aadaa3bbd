"""Keys of `tasks` that kubemr never writes: no worker uses them, and no operator ends because of one."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.shards.summary import summary_of, total_counts
from kubemr.coordination.task_table import TaskTable
from kubemr.tasks import encoding
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import InvalidStateError

PENDING = "pending/1/0/0/"
STRANGE = ["-1", "1-", "01", "x", "3-3", "4-3", "0-01", " 1", "1_0", "٣", "9" * 5000, f"1-{'9' * 5000}"]


@pytest.mark.parametrize("key", STRANGE)
@pytest.mark.parametrize("beside", [{}, {"7": PENDING}], ids=["alone", "beside 7"])
def test_a_key_that_names_no_tasks_is_refused(key: str, beside: dict[str, str]) -> None:
    """By its name."""
    with pytest.raises(InvalidStateError, match=f"{key!r} (does not name tasks|is not the only entry): expected"):
        encoding.texts({key: PENDING, **beside})


def test_one_entry_for_several_tasks_is_the_only_one() -> None:
    """A patch for single tasks would test values that the shard never has."""
    document = {"metadata": {"namespace": "default", "name": "s"}, "tasks": {"0-3": PENDING, "4": PENDING}}
    with pytest.raises(
        InvalidStateError, match="'0-3' is not the only entry: expected one entry for all tasks, or a task number"
    ):
        Shard.parse(document)


@pytest.mark.parametrize("key", [*STRANGE, "0-3"])
def test_a_stage_with_such_a_key_is_not_complete(key: str) -> None:
    """It has a task that is not there, or not once."""
    table = TaskTable(5)
    table.add_shard({"4": "done/1/0/0/w0-aaaaaa", key: "done/1/0/0/w0-aaaaaa"})
    assert table.has_unknown_tasks


@pytest.mark.parametrize(
    ("keys", "tasks"),
    [(["0-3"], 4), (["5"], 1), (["5", "6"], 2), (["x"], 1), (["0-3", "4"], 2), ([f"1-{2**70}"], 1), (["9" * 5000], 1)],
)
def test_an_operator_counts_whatever_is_there(keys: list[str], tasks: int) -> None:
    """Its cache has all shards of a cluster, by whomever they were made."""
    found = summary_of({"metadata": {"name": "s"}, "tasks": dict.fromkeys(keys, PENDING)})
    assert total_counts([found])["pending"] == tasks
