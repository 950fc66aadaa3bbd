"""The history: one operation a line, with the time it was called and the time it returned.

Times are of CLOCK_MONOTONIC, which all processes of one machine share.  An operation of unknown outcome has no return:
what it did may take effect at any time after its call, or never.
An operation that found its condition broken is `lost`: it certainly wrote nothing.  But if an answer was `missed`, one
of its own patches may have landed, and others have gone on from there before it looked: then it is `either`, and what
it looked at is a read of its own.
The fields are those of `Operation` in `tests/e2e/linearizability/checker/main.go`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, TextIO

from kubemr.locks.lock import Acquisition, Lock, LockResult, LockStatus
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import TaskState

Swaps = list[dict[str, Any]]


class Recorder:
    """Writes the operations of one client; `call` before each, then one of the others."""

    def __init__(self, client: int, sink: TextIO) -> None:
        self._client, self._sink, self._called = client, sink, 0
        self.operations = 0
        """How many but the reads, which only make the check stricter."""

    def call(self) -> None:
        """An operation begins."""
        self._called = time.monotonic_ns()

    def acquired(self, key: str, lock: Lock, result: LockResult) -> None:
        """An attempt to take a lock ended."""
        fields: dict[str, Any] = {"me": lock.identity}
        if result.status is not LockStatus.UNKNOWN and result.value is not None:
            fields |= {"fence": result.value.fence, "holder": result.value.holder}
        self._write("acquire", key, result.status.value, **fields)

    def released(self, key: str, held: Acquisition, result: LockResult, *, missed: bool) -> None:
        """An attempt to give it back ended."""
        outcome = result.status.value
        if result.status is LockStatus.LOST and result.value is not None:
            outcome = "either" if missed else outcome
            self._write("read", key, "won", holder=result.value.holder, fence=result.value.fence)
        self._write("release", key, outcome, me=held.lock.identity, fence=held.fence)

    def read(self, key: str, shard: Shard) -> None:
        """A shard was read."""
        self._write("read", key, "won", seen=seen(shard))

    def swapped(self, key: str, swaps: Swaps) -> None:
        """All of these landed in one patch."""
        self._write("swap", key, "won", swaps=swaps)

    def refused(self, key: str, swaps: Swaps, shard: Shard) -> None:
        """None of them landed, and this was seen instead."""
        self._write("swap", key, "lost", swaps=swaps, seen=seen(shard))

    def overtaken(self, key: str, swaps: Swaps, shard: Shard, *, missed: bool) -> None:
        """The tasks had moved on; `missed` when perhaps because all of these had landed."""
        if not missed:
            return self.refused(key, swaps, shard)
        self.read(key, shard)
        self._write("swap", key, "either", swaps=swaps)

    def doubtful(self, key: str, swaps: Swaps, rest: Swaps | None = None) -> None:
        """All of them landed or will, or `rest` alone, or nothing."""
        self._write("swap", key, "unknown", swaps=swaps, rest=rest or [])

    def _write(self, kind: str, key: str, outcome: str, **fields: Any) -> None:
        returned = None if outcome == LockStatus.UNKNOWN.value else time.monotonic_ns()
        line = {"key": key, "kind": kind, "client": self._client, "call": self._called, "return": returned}
        self._sink.write(json.dumps(line | {"outcome": outcome} | fields) + "\n")
        self.operations += kind != "read"


def seen(shard: Shard) -> list[str]:
    """The strings of all tasks, in order."""
    return [str(state) for state in shard.tasks.values()]


def swaps(shard: Shard, states: Mapping[int, TaskState]) -> Swaps:
    """What a patch of `shard` tests and writes for these tasks; of one entry for all, the others are tested too."""
    after = {**shard.tasks, **states} if shard.collapsed and states else states
    return [{"task": task, "old": str(shard.tasks[task]), "new": str(after[task])} for task in after]
