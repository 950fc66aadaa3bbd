"""The referee knows when a shard's tasks have one entry and when one each, and the seeds are counted by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from kubemr.locks.effects import JSON_PATCH, Request
from kubemr.locks.patch import Patch
from kubemr.tasks.shard import SHARDS
from support.simulation import forms
from support.simulation.referee import Foul, Referee

PENDING, HELD, LOST = "pending/1/0/0/", "running/1/0/0/w1-abcdef", "pending/2/0/1/"
MINE, DONE, OTHERS = "running/2/0/1/w2-abcdef", "done/1/0/0/w1-abcdef", "running/1/0/0/w3-abcdef"
TOGETHER = {"3-4": PENDING}
APART = {"3": PENDING, "4": PENDING}


def swap(old: Mapping[str, str], new: Mapping[str, str]) -> Request:
    """A patch of all tasks."""
    body = Patch().swap("/tasks", dict(old), dict(new)).body
    return Request("patch", SHARDS, "default", "s", body=body, content_type=JSON_PATCH)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (TOGETHER, {"3-4": HELD}),
        (TOGETHER, {"3": HELD, "4": PENDING}),
        (APART, {"3": HELD, "4": HELD}),
        ({"3-4": HELD}, {"3-4": LOST}),
        ({"3": PENDING}, {"3": HELD}),
    ],
)
def test_what_may_become_of_a_shard(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """One entry stays, or is spread for good; each task is judged by itself in either form."""
    Referee().shard_changed("s", before, after)


@pytest.mark.parametrize(
    ("foul", "words"),
    [
        (lambda it: it.shard_changed("s", TOGETHER, {"3-4": DONE}), "no legal change"),
        (lambda it: it.shard_changed("s", TOGETHER, {"3": HELD, "4": DONE}), "task 4: .* no legal change"),
        (lambda it: it.shard_changed("s", APART, {"3-4": HELD}), "back to one entry"),
        (lambda it: it.shard_changed("s", TOGETHER, {"3": HELD, "4": HELD}), "all went .* to the same"),
        (lambda it: it.shard_changed("s", TOGETHER, {"3": HELD}), "holds the same for ever"),
        (lambda it: it.shard_changed("s", TOGETHER, {"3-5": HELD}), "holds the same for ever"),
        (lambda it: it.shard_changed("s", TOGETHER, {"3": HELD, "4-5": PENDING}), "the entry '4-5', beside 1"),
        (lambda it: it.shard_changed("s", {"3": PENDING}, {"3-3": HELD}), "the entry '3-3'"),
        (lambda it: it.shard_created("s", APART, shared=False), "created with an entry for each task"),
        (lambda it: it.shard_created("s", TOGETHER, shared=True), "which workers share, is created with one entry"),
        (lambda it: it.shard_created("s", {"3-4": PENDING, "5": DONE}, shared=None), "the entry '3-4', beside 1"),
        (lambda it: it.shard_kept("s", {"/tasks": APART}, TOGETHER), "where the same stands"),
        (lambda it: it.shard_kept("s", {"/tasks/3": PENDING}, TOGETHER), "entries of single tasks"),
    ],
)
def test_what_may_not(foul: Callable[[Referee], None], words: str) -> None:
    """Each of these would make two workers see different tasks, or one write what another is about to change."""
    with pytest.raises(Foul, match=words):
        foul(Referee())


def test_an_attempt_is_one_whatever_the_form() -> None:
    """Who claimed a task with all others may not claim it again alone in the same epoch."""
    referee = Referee()
    referee.shard_changed("s", TOGETHER, {"3-4": HELD})
    with pytest.raises(Foul, match="task 4: w1-abcdef begins epoch 1 a second time"):
        referee.shard_changed("s", APART, {"3": PENDING, "4": HELD})


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        (TOGETHER, {"3-4": HELD}, "whole: pending to running"),
        ({"3-4": HELD}, {"3-4": LOST}, "whole: running to pending, a loss"),
        (TOGETHER, {"3": HELD, "4": PENDING}, "spread: a part claimed"),
        ({"3-4": LOST}, {"3": MINE, "4": LOST}, "spread: a suspect claimed"),
        ({"3-4": HELD}, {"3": DONE, "4": "pending/2/0/0/"}, "spread: a part committed, a part given back"),
        ({"3-4": HELD}, {"3": f"{HELD}+w2-abcdef", "4": HELD}, "spread: one backed up"),
        ({"3-4": HELD}, {"3": DONE, "4": HELD}, "spread: other changes of running ones"),
        (APART, {"3": HELD, "4": HELD}, ""),
        (TOGETHER, TOGETHER, ""),
    ],
)
def test_changes_of_one_entry_have_names(before: Mapping[str, str], after: Mapping[str, str], name: str) -> None:
    """By which `test_faults_happen` asks for them."""
    assert forms.changed(before, after) == name


def test_lost_races_for_one_entry_have_names() -> None:
    """What was wanted, and what was there instead."""
    whole, spread = swap(TOGETHER, {"3-4": HELD}), swap(TOGETHER, {"3": HELD, "4": PENDING})
    taken = {"3": OTHERS, "4": PENDING}
    assert forms.refused(whole, {"3-4": OTHERS}) == "whole from pending, lost to a whole change"
    assert forms.refused(whole, taken) == "whole from pending, lost to a spread"
    assert forms.refused(spread, taken) == "spread from pending, lost to a spread"
    assert forms.refused(spread, TOGETHER) == ""
    assert forms.refused(swap(APART, {"3": HELD, "4": HELD}), taken) == ""
