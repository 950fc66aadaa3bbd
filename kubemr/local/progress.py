"""Track how far a job has come, from what a watch of the job and of its shards returns.  No I/O.

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
    """A phase or stage that has begun; `seconds` counts from the start of the run."""

    name: str
    seconds: float


@frozen
class StageCounts:
    """The numbers of tasks of one stage, by state."""

    key: str
    total: int
    done: int
    running: int
    failures: int
    """How many attempts at these tasks have failed so far."""


@define
class JobProgress:
    """The progress of one job.  Times are seconds since the start of the run."""

    document: Json | None = None
    timeline: list[Step] = field(factory=list)
    """Each phase, and each stage of DEPLOYED, with the time at which it was first seen."""
    _shards: dict[str, tuple[str, Counter[str], int]] = field(factory=dict)

    @property
    def view(self) -> JobView | None:
        """The last known state of the job, or None."""
        return JobView.of(self.document) if self.document is not None else None

    @property
    def status(self) -> Json:
        """The job's status; `{}` while the job has none."""
        return (self.document or {}).get("status") or {}

    @property
    def final(self) -> bool:
        """Whether the job is over."""
        view = self.view
        return view is not None and view.final

    def update_job(self, document: Json, seconds: float) -> list[Step]:
        """Take over a state of the job, and return the phases and stages that have begun since the last one."""
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
        """Take over a state of a shard.  A deleted shard keeps counting: shards are deleted when the job is over."""
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
        """The counts of all known stages of the job."""
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
