"""The attempts of a job's tasks, as their objects in storage show them.

An attempt is known by its records (`kubemr.coordination.attempt_records`) and its outputs.
An attempt without objects succeeded without output, was released before it began, or died unnoticed.
User code writes below the same prefixes: keys and documents that only resemble those of kubemr are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from attr import field, frozen

from kubemr.coordination import names
from kubemr.coordination.attempt_records import ERROR, LOG, LOST, RECORDS, AttemptError, AttemptLog
from kubemr.coordination.object_store import Store
from kubemr.coordination.outputs import OUTPUTS
from kubemr.tasks.state import TOKEN

_FILES: Final = frozenset({*RECORDS, OUTPUTS})
_KEY: Final = re.compile(rf"(\d+)/(map|reduce)/(\d+)/([1-9]\d*-{TOKEN})/([^/]+)")
_NAME: Final = re.compile(rf"(?:(\d+)/)?(map|reduce)(?:/(\d+)(?:/([1-9]\d*-{TOKEN}))?)?")


@frozen(order=True)
class Attempt:
    """One attempt, and the names of the objects that kubemr wrote for it; ordered by step, stage, task and epoch."""

    step: int
    stage: str
    number: int
    epoch: int
    worker: str
    prefix: str = field(order=False)
    files: frozenset[str] = field(order=False)

    def __str__(self) -> str:
        """Return the attempt's name, `[step/]map/17/2-w7-k2p4x9`, without the step if it is 0."""
        step = f"{self.step}/" if self.step else ""
        return f"{step}{self.stage}/{self.number}/{self.epoch}-{self.worker}"


@frozen
class Selection:
    """Some of a job's attempts: those of a stage, those of a task, or one; without a stage, all."""

    step: int = 0
    stage: str = ""
    number: int | None = None
    attempt: str = ""

    @classmethod
    def parse(cls, text: str) -> Selection:
        """Parse `[step/]map[/17[/2-w7-k2p4x9]]`.

        Raise ValueError for any other text.
        """
        found = _NAME.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} names no task: write map/17, reduce/3, 1/map/17 or map/17/2-w7-k2p4x9")
        step, stage, number, attempt = found.groups()
        return cls(int(step or 0), stage, None if number is None else int(number), attempt or "")

    def prefix(self, job_prefix: str) -> str:
        """Return the prefix of the keys of these attempts."""
        if not self.stage:
            return job_prefix
        if self.number is None:
            return names.stage_prefix(job_prefix, self.step, self.stage)
        if not self.attempt:
            return names.task_prefix(job_prefix, self.step, self.stage, self.number)
        return names.attempt_prefix(job_prefix, self.step, self.stage, self.number, self.attempt)


ALL: Final = Selection()


@frozen
class History:
    """An attempt with the contents of its records.

    `outcome` is `failed`, `lost` (its worker died), `done`, `empty` or `unfinished`.
    An unfinished attempt runs, was interrupted, or its worker died and is not declared dead yet.
    Unknown times are empty, and `log` is None if there is none.
    """

    attempt: Attempt
    outcome: str
    start: str
    end: str
    message: str
    log: AttemptLog | None


def attempts(store: Store, job_prefix: str, selection: Selection = ALL) -> Iterator[Attempt]:
    """Yield the attempts that have objects in storage, task by task, by one listing."""
    keys = (item.key for item in store.list(selection.prefix(job_prefix)))
    found = (match for key in keys if (match := _KEY.fullmatch(key.removeprefix(job_prefix))))
    ours = (match for match in found if match[5] in _FILES)
    for (step, stage, number, attempt), matches in groupby(ours, key=lambda match: match.group(1, 2, 3, 4)):
        epoch, _, worker = attempt.partition("-")
        prefix = names.attempt_prefix(job_prefix, int(step), stage, int(number), attempt)
        files = frozenset(match[5] for match in matches)
        yield Attempt(int(step), stage, int(number), int(epoch), worker, prefix, files)


def history(store: Store, attempt: Attempt) -> History:
    """Read the attempt's records.

    A damaged record counts as missing.
    """
    failed, lost = _error(store, attempt, ERROR), _error(store, attempt, LOST)
    error = failed or lost
    log = AttemptLog.decode(store.get(attempt.prefix + LOG)) if LOG in attempt.files else None
    # The log of a lost attempt has its exact start; the process that found the loss knows only an upper bound.
    start = (failed.start if failed else "") or (log.start if log else "") or (lost.start if lost else "")
    end = (error.end if error else "") or (log.end if log else "")
    return History(attempt, _outcome(attempt, log), start, end, error.message if error else "", log)


def first_error(store: Store, found: Iterable[Attempt], run: int) -> tuple[Attempt, AttemptError] | None:
    """Return the first attempt of the run, by epoch, that has an error, with the error."""
    for attempt in sorted(found):
        error = _error(store, attempt, ERROR)
        if error is not None and error.run == run:
            return attempt, error
    return None


def _error(store: Store, attempt: Attempt, name: str) -> AttemptError | None:
    if name not in attempt.files:
        return None
    try:
        return AttemptError.decode(store.get(attempt.prefix + name))
    except ValueError:
        return None


def _outcome(attempt: Attempt, log: AttemptLog | None) -> str:
    if ERROR in attempt.files:
        return "failed"
    if log is not None and log.outcome:
        return log.outcome
    if LOST in attempt.files:
        return "lost"
    return "done" if OUTPUTS in attempt.files else "unfinished"
