"""Sees every write to a task shard and to the store, and knows the rules of docs/protocol.md.

The rules are written down here a second time, from that page and as plain comparisons of strings, so that
a mistake in `TaskState` is not judged by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attr import define, field


class Foul(AssertionError):
    """Something happened that the protocol forbids."""


_KEY = re.compile(r"^(0|[1-9]\d*)(?:-([1-9]\d*))?$")
_STATE = re.compile(r"^(pending|running|done|empty|failed)/(\d+)/(\d+)/(\d+)/([a-z0-9+-]*)$")


@define
class Referee:
    """What has been seen so far."""

    bound: int | None = None
    """The job's `maxAttempts`."""
    begun: set[tuple[str, int, str, str]] = field(factory=set)
    """All attempts: shard, task, epoch and token."""
    backups: int = 0
    """How often a second holder joined the first."""
    written: dict[str, bytes] = field(factory=dict)

    def shard_created(self, shard: str, tasks: Mapping[str, str], *, shared: bool | None) -> None:
        """The operator has made a shard: tasks that are all alike have one entry, but where workers share shards.

        `shared` is None where that is not known.
        """
        if shared and len(tasks) < len(one_by_one(shard, tasks)):
            raise Foul(f"{shard}, which workers share, is created with one entry: {tasks}")
        if shared is False and len(tasks) > 1 and len(set(tasks.values())) == 1:
            raise Foul(f"{shard} is created with an entry for each task, and all are {next(iter(tasks.values()))}")
        one_by_one(shard, tasks)

    def shard_changed(
        self, shard: str, before: Mapping[str, str], after: Mapping[str, str], *, lives: bool = True
    ) -> None:
        """A shard's tasks went from `before` to `after` in one patch."""
        if before == after:
            return
        old, new = one_by_one(shard, before), one_by_one(shard, after)
        if old.keys() != new.keys():
            raise Foul(f"{shard} had the tasks {sorted(old)}, and has {sorted(new)}: it holds the same for ever")
        if len(after) < len(new) and len(before) == len(old):
            raise Foul(f"{shard} is back to one entry: {after}")
        if len(before) < len(old) and len(after) == len(new) and len(set(new.values())) == 1:
            raise Foul(f"{shard} has an entry for each task, and all went from {before} to the same: {after}")
        for number, text in new.items():
            if text != old[number]:
                self.task_changed(shard, number, old[number], text, lives=lives)

    def shard_kept(self, shard: str, tests: Mapping[str, Any], now: Mapping[str, str]) -> None:
        """A patch was refused, as its `tests` (by path) failed: for what the tasks are, never for their form alone."""
        tested = tests.get("/tasks", now)
        if tested != now and one_by_one(shard, tested) == one_by_one(shard, now):
            raise Foul(f"{shard} is tested for {tested}, where the same stands as {now}")
        single = [path for path in tests if path.startswith("/tasks/")]
        if single and len(now) < len(one_by_one(shard, now)):
            raise Foul(f"{shard} is tested for entries of single tasks, and never had any: {single}, but {now}")

    def task_changed(self, shard: str, number: int, old: str, new: str, *, lives: bool = True) -> None:
        """One task of a shard went from `old` to `new` in one patch.

        Whose sender is no more (`lives`) begins nothing by it: both a shard, after it was removed, and a claim in it
        may be written by requests that were long under way.
        """
        if not legal(old, new):
            raise Foul(f"{shard} task {number}: {old} -> {new} is no legal change")
        if self.bound is not None and not within(self.bound, old, new):
            raise Foul(f"{shard} task {number}: {old} -> {new} does not keep to a maxAttempts of {self.bound}")
        epoch, joined = new.split("/")[1], _holders(new) - _holders(old)
        self.backups += bool(joined and _holders(old))
        for token in joined:
            attempt = (shard, number, epoch, token)
            if lives and attempt in self.begun:
                raise Foul(f"{shard} task {number}: {token} begins epoch {epoch} a second time: {old} -> {new}")
            self.begun.add(attempt)

    def object_written(self, key: str, data: bytes) -> None:
        """An attempt's outputs may be written again by nobody, unless they are the same.

        Its log grows, and that it was lost may be told by more than one who saw it.
        """
        if key.endswith(("/log.txt", "/lost.json")):
            return
        before = self.written.get(key)
        if before is not None and before != data:
            raise Foul(f"{key} was written twice with different content: an attempt's name was used by two")
        self.written[key] = data


def one_by_one(shard: str, tasks: Mapping[str, str]) -> dict[int, str]:
    """The state of each task; there is one entry for all of them, or one for each."""
    states: dict[int, str] = {}
    for key, text in tasks.items():
        found = _KEY.match(key)
        if found is None or (found[2] and (len(tasks) > 1 or int(found[2]) <= int(found[1]))):
            raise Foul(f"{shard} has the entry {key!r}, beside {len(tasks) - 1} others")
        states |= dict.fromkeys(range(int(found[1]), int(found[2] or found[1]) + 1), text)
    return states


def _holders(text: str) -> set[str]:
    """Who works on it."""
    return set(text.rpartition("/")[2].split("+")) if text.startswith("running/") else set()


def legal(old: str, new: str) -> bool:
    """The table "Legal changes of one task", and going on unchanged."""
    if old == new:
        return True
    before, after = _STATE.match(old), _STATE.match(new)
    if before is None or after is None:
        return False
    was, epoch, failures, losses = before[1], int(before[2]), int(before[3]), int(before[4])
    now, new_epoch, new_failures, new_losses = after[1], int(after[2]), int(after[3]), int(after[4])
    had = before[5].split("+") if before[5] else []
    has = after[5].split("+") if after[5] else []
    counts = (new_failures - failures, new_losses - losses)
    if was == "pending" and now == "running":
        return new_epoch == epoch and counts == (0, 0) and len(has) == 1
    if was != "running":
        return False
    if now in ("done", "empty"):
        return new_epoch == epoch and counts == (0, 0) and len(has) == 1 and has[0] in had
    if now == "pending":
        return new_epoch == epoch + 1 and counts in ((0, 0), (1, 0), (0, 1)) and not has
    if now == "failed":
        return new_epoch == epoch and counts in ((1, 0), (0, 1)) and not has
    if new_epoch != epoch or not set(has) or len(has) > 2:
        return False
    if len(has) > len(had):
        return counts == (0, 0) and has[0] == had[0]
    return set(has) < set(had) and counts in ((0, 1), (1, 0))


def within(bound: int, old: str, new: str) -> bool:
    """A task fails for good with its `bound`th failure, or with one loss more of its last holder, and not before."""
    before, after = _STATE.match(old), _STATE.match(new)
    if before is None or after is None:
        return False
    final = after[1] == "failed"
    if int(after[3]) > int(before[3]):
        return final == (int(after[3]) >= bound)
    if int(after[4]) > int(before[4]) and not _holders(new):
        return final == (int(after[4]) > bound)
    return True
