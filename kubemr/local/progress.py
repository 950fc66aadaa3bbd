"""How far a job has come, from what a watch of it and of its shards shows.  No I/O.

The counts come from the shards themselves, so they are as current as the watch.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from attrs import define, field, frozen

from kubemr.coordination.job_view import JobView
from kubemr.coordination.names import LABEL_RUN, LABEL_STAGE
from kubemr.locks.effects import Json
from kubemr.tasks import encoding

COMMITTED: Final = ("done", "empty")


@frozen
class Step:
    """A phase or stage that has begun; `seconds` since the run's start."""

    name: str
    seconds: float


@frozen
class StageCounts:
    """The tasks of one stage."""

    key: str
    total: int
    done: int
    running: int
    failures: int
    """How often user code has failed on them so far."""


@define
class JobProgress:
    """What is known of one job.  `clock` values are seconds since the run's start."""

    document: Json | None = None
    timeline: list[Step] = field(factory=list)
    """Each phase, and each stage of DEPLOYED, when it was first seen."""
    _shards: dict[str, tuple[str, Counter[str], int]] = field(factory=dict)

    @property
    def view(self) -> JobView | None:
        """The job as it was last seen."""
        return JobView.of(self.document) if self.document is not None else None

    @property
    def status(self) -> Json:
        """The job's status, `{}` before there is one."""
        return (self.document or {}).get("status") or {}

    @property
    def final(self) -> bool:
        """It is over."""
        view = self.view
        return view is not None and view.final

    def update_job(self, document: Json, seconds: float) -> list[Step]:
        """Take note of the job; gives what has begun since it was last seen."""
        self.document = document
        view = JobView.of(document)
        begun: list[str] = []
        if view.phase:
            begun.append(view.phase)
            if view.phase == "DEPLOYED":
                begun.append(view.stage)
        new = [Step(name, seconds) for name in begun if name not in {step.name for step in self.timeline}]
        self.timeline += new
        return new

    def update_shard(self, document: Json) -> None:
        """Take note of a shard.  Shards that are deleted keep counting: the job is over then."""
        labels = document["metadata"]["labels"]
        view = self.view
        if view is not None and labels.get(LABEL_RUN) != str(view.run):
            return
        names: Counter[str] = Counter()
        failures = 0
        each = encoding.tasks_per_entry(document["tasks"])
        for text in document["tasks"].values():
            parts = text.split("/")
            names[parts[0]] += each
            failures += int(parts[2]) * each
        self._shards[document["metadata"]["name"]] = (labels[LABEL_STAGE], names, failures)

    @property
    def stages(self) -> list[StageCounts]:
        """All stages of the job, as far as they are known."""
        view = self.view
        if view is None:
            return []
        counts = []
        for stage in view.stages:
            shards = [shard for shard in self._shards.values() if shard[0] == stage.label]
            done = sum(names[state] for _, names, _ in shards for state in COMMITTED)
            running = sum(names["running"] for _, names, _ in shards)
            failures = sum(failed for _, _, failed in shards)
            if view.phase == "COMPLETE":
                done, running = stage.total, 0
            counts.append(StageCounts(stage.key, stage.total, done, running, failures))
        return counts
