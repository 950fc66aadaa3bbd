"""Which running tasks are stragglers: one idle worker's own judgement, for its own use.

A task is one when this worker has seen it run, under the same string, for three times as long as its own tasks of
the stage took (their median), and for five seconds at least.  No clocks are compared: since when it runs is when this
worker first saw the string, which never stands there twice.

A worker that ran none of the stage's tasks takes for the median how long half of them lasted from its first look on,
and ten seconds at least.  It has to help too: of quick tasks one worker often has them all, and hangs in the last.

An idle worker then joins the holder as its backup, and whoever commits first has won.  That spends only time which
nobody has a use for, so it is done in the tail of a stage alone: nothing is pending and half of the tasks are through.

Not backed up are

- tasks with losses: an input that kills its worker must not kill two at a time;
- jobs of `maxAttempts` 1, where nothing is to be tried twice;
- what this worker failed at itself in this epoch: its attempt would have the name of the one before.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Sequence

from attr import define, field

from kubemr.coordination.job_view import JobView, Stage
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import TaskState, Token

FACTOR = 3.0
"""So many times the median is long."""
LEAST_SECONDS = 5.0
"""Waiting for less is cheaper than running it twice."""
UNTRIED_SECONDS = 10.0
"""What a worker that has run none holds a task to take, at least."""
REMEMBERED = 64
"""Durations that are kept: of the latest tasks."""
TRIES = 8
"""Workers that try for the same task at the first look, by chance; twice as many at each further one."""


@define
class Stragglers:
    """What the worker that holds `token` knows of durations.  All times are in seconds of its own clock."""

    token: Token
    _durations: deque[float] = field(factory=lambda: deque(maxlen=REMEMBERED), init=False)
    _failed: set[tuple[int, int]] = field(factory=set, init=False)
    """Number and epoch of this worker's own attempts that failed."""
    _seen: dict[int, tuple[str, float]] = field(factory=dict, init=False)
    """Of each running task: its string, and when it was first seen."""
    _first: float | None = field(default=None, init=False)
    _half: float | None = field(default=None, init=False)
    """When it first looked, and when it first saw that half of the stage was through and nothing pending."""
    _looks: int = field(default=0, init=False)
    """Consecutive looks at which there was one to back up."""

    def restart(self) -> None:
        """Another stage has begun."""
        self._durations.clear()
        self._failed.clear()
        self._seen.clear()
        self._first = self._half = None
        self._looks = 0

    def ran(self, durations: Iterable[float]) -> None:
        """So long took tasks of its own that did not fail."""
        self._durations.extend(durations)

    def failed(self, number: int, epoch: int) -> None:
        """An attempt of its own failed."""
        self._failed.add((number, epoch))

    def see(self, shards: Sequence[Shard], now: float) -> None:
        """All unfinished shards of the stage, as they are `now`."""
        self._first = now if self._first is None else self._first
        strings = {
            number: str(state) for shard in shards for number, state in shard.tasks.items() if state.name == "running"
        }
        before = self._seen
        self._seen = {
            number: before[number] if number in before and before[number][0] == text else (text, now)
            for number, text in strings.items()
        }

    def overdue(self, job: JobView, stage: Stage, shards: Sequence[Shard], now: float) -> list[tuple[Shard, int]]:
        """What this worker might back up: shards, each with the number of a task.  After `see`."""
        found: list[tuple[Shard, int]] = []
        tail = 2 * len(self._seen) <= stage.total and not any(shard.pending for shard in shards)
        if tail and job.max_attempts > 1:
            self._half = now if self._half is None else self._half
            long = max(LEAST_SECONDS, FACTOR * self._typical(self._half))
            found = [
                (shard, number)
                for shard in shards
                for number, state in shard.tasks.items()
                if self._may_join(number, state) and now - self._seen[number][1] > long
            ]
        self._looks = self._looks + 1 if found else 0
        return found

    def chance(self, found: int, workers: int) -> float:
        """The probability with which to try, so that not all of many idle workers do at once."""
        return min(1.0, found * TRIES * 2.0 ** min(self._looks - 1, 32) / max(workers, 1))

    def _typical(self, half: float) -> float:
        """How long a task of the stage takes, or took until half were through."""
        if self._durations:
            return statistics.median(self._durations)
        return max(UNTRIED_SECONDS, half - (half if self._first is None else self._first))

    def _may_join(self, number: int, state: TaskState) -> bool:
        return (
            state.name == "running"
            and number in self._seen
            and len(state.holders) == 1
            and self.token not in state.holders
            and not state.lost_before
            and (number, state.epoch) not in self._failed
        )
