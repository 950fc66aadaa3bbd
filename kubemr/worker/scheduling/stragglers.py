"""Which running tasks are stragglers, as one idle worker sees it.

A task is a straggler if this worker has seen it running, with the same state string, for long enough.
Long enough is three times the median of this worker's own tasks of the stage, and at least five seconds.
No clocks of different machines are compared: the time counts from when this worker first saw the state string.
No state string ever recurs.

A worker that ran no task of the stage has no median.
It uses the time from its first observation until half of the tasks were finished, and at least ten seconds.
Such workers must help, too: if tasks are quick, one worker often runs all of them, and hangs in the last.

An idle worker then becomes a second holder of the task and runs a backup; the first holder to commit wins.
Backups use only idle resources, because they run only when no task is pending and half of the tasks are finished.

These tasks get no backup:

- a task with losses: an input that kills its worker must not kill two workers at a time
- a task of a job with `maxAttempts` 1, in which nothing may be tried twice
- a task at which this worker has failed in the current epoch: its new attempt would have the name of the failed one
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable, Sequence

from attr import define, field

from kubemr.coordination.job_view import JobView, Stage
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import TaskState, Token

MEDIAN_FACTOR = 3.0
"""A straggler runs for this many times the median."""
MIN_SECONDS = 5.0
"""For a task that runs for less time, waiting is cheaper than running it twice."""
MIN_SECONDS_WITHOUT_DURATIONS = 10.0
"""The least time that a worker without its own durations assumes for a task."""
KEPT_DURATIONS = 64
"""How many durations to keep: those of the latest tasks."""
INITIAL_TRIES = 8
"""How many workers, on average, try to back up the same task in the first round; the number doubles each round."""


@define
class StragglerDetector:
    """What the worker with `token` has observed.  All times are in seconds of its monotonic clock."""

    token: Token
    _durations: deque[float] = field(factory=lambda: deque(maxlen=KEPT_DURATIONS), init=False)
    _failed: set[tuple[int, int]] = field(factory=set, init=False)
    """Task number and epoch of this worker's failed attempts."""
    _seen: dict[int, tuple[str, float]] = field(factory=dict, init=False)
    """The state string of each running task, and when it was first observed."""
    _first_observed_at: float | None = field(default=None, init=False)
    _tail_since: float | None = field(default=None, init=False)
    """When this worker first observed the stage, and when it first observed that backups are allowed."""
    _rounds: int = field(default=0, init=False)
    """The number of consecutive rounds in which a task was overdue."""

    def reset(self) -> None:
        """Forget all observations, because another stage has begun."""
        self._durations.clear()
        self._failed.clear()
        self._seen.clear()
        self._first_observed_at = self._tail_since = None
        self._rounds = 0

    def record_durations(self, durations: Iterable[float]) -> None:
        """Record the durations of this worker's tasks that did not fail."""
        self._durations.extend(durations)

    def record_failure(self, number: int, epoch: int) -> None:
        """Record that an attempt of this worker failed."""
        self._failed.add((number, epoch))

    def observe(self, shards: Sequence[Shard], now: float) -> None:
        """Record the states of all unfinished shards of the stage, read at the time `now`."""
        self._first_observed_at = now if self._first_observed_at is None else self._first_observed_at
        states = {
            number: str(state) for shard in shards for number, state in shard.tasks.items() if state.name == "running"
        }
        before = self._seen
        self._seen = {
            number: before[number] if number in before and before[number][0] == text else (text, now)
            for number, text in states.items()
        }

    def overdue(self, job: JobView, stage: Stage, shards: Sequence[Shard], now: float) -> list[tuple[Shard, int]]:
        """Return the tasks that this worker may back up, as shard and number; call `observe` before."""
        tasks: list[tuple[Shard, int]] = []
        is_tail = 2 * len(self._seen) <= stage.total and not any(shard.pending for shard in shards)
        if is_tail and job.max_attempts > 1:
            self._tail_since = now if self._tail_since is None else self._tail_since
            limit = max(MIN_SECONDS, MEDIAN_FACTOR * self._typical_seconds(self._tail_since))
            tasks = [
                (shard, number)
                for shard in shards
                for number, state in shard.tasks.items()
                if self._may_back_up(number, state) and now - self._seen[number][1] > limit
            ]
        self._rounds = self._rounds + 1 if tasks else 0
        return tasks

    def backup_probability(self, tasks: int, workers: int) -> float:
        """Return the probability with which to back up one of `tasks` tasks, so that not all idle workers try."""
        return min(1.0, tasks * INITIAL_TRIES * 2.0 ** min(self._rounds - 1, 32) / max(workers, 1))

    def _typical_seconds(self, tail_since: float) -> float:
        """Return the median of this worker's durations, or else the time until backups were allowed."""
        if self._durations:
            return statistics.median(self._durations)
        first = tail_since if self._first_observed_at is None else self._first_observed_at
        return max(MIN_SECONDS_WITHOUT_DURATIONS, tail_since - first)

    def _may_back_up(self, number: int, state: TaskState) -> bool:
        return (
            state.name == "running"
            and number in self._seen
            and len(state.holders) == 1
            and self.token not in state.holders
            and not state.lost_before
            and (number, state.epoch) not in self._failed
        )
