"""Summaries of task shards: how many tasks are in each state, and which workers hold some.

An installation may have tens of thousands of shards, and the operator checks those of running jobs every two seconds.
A summary is made once per change of its shard, and takes a tenth of the shard's memory.
To count tasks the operator only adds up numbers.
Before it changes a shard, it reads the shard again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from sys import intern
from typing import Final

from attr import frozen

from kubemr.controller.informer.object_keys import Object
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView, Stage
from kubemr.locks.effects import Json
from kubemr.tasks import encoding
from kubemr.tasks.state import Token

STATES: Final = ("pending", "running", "done", "empty", "failed")
_SUMMARY: Final = "summary"


@frozen
class ShardSummary:
    """The summary of one shard.  `counts` are of tasks, in the order of `STATES`; `stage` is the label's value."""

    name: str
    run: int
    stage: str
    counts: tuple[int, ...]
    holders: frozenset[Token]

    @property
    def failed(self) -> bool:
        """Some task has failed permanently."""
        return self.counts[4] > 0

    @property
    def committed(self) -> bool:
        """Every task has an attempt that counts."""
        return not (self.counts[0] or self.counts[1] or self.counts[4])


def summary_of(document: Json) -> ShardSummary:
    """Return the summary of a shard as the apiserver serves it."""
    metadata = document["metadata"]
    labels = metadata.get("labels") or {}
    counts = dict.fromkeys(STATES, 0)
    holders: set[Token] = set()
    tasks = document.get("tasks") or {}
    each = encoding.tasks_per_entry(tasks)
    for text in tasks.values():
        name, _, rest = text.partition("/")
        counts[name] += each
        if name == "running":
            holders.update(Token(token) for token in rest.rpartition("/")[2].split("+"))
    return ShardSummary(
        metadata["name"],
        int(labels.get(names.LABEL_RUN) or 0),
        intern(labels.get(names.LABEL_STAGE) or ""),
        tuple(counts.values()),
        frozenset(holders),
    )


def summarize(document: Object) -> Object:
    """Reduce a shard to what a store needs and its summary: a transform for an informer."""
    metadata = document["metadata"]
    kept = {key: metadata[key] for key in ("namespace", "name", "uid", "resourceVersion") if key in metadata}
    if "namespace" in kept:
        kept["namespace"] = intern(kept["namespace"])
    kept["labels"] = _labels((metadata.get("labels") or {}).get(names.LABEL_UID))
    return {"metadata": kept, _SUMMARY: summary_of(document)}


@lru_cache(maxsize=1024)
def _labels(uid: str | None) -> dict[str, str]:
    """Return the label by which a job's shards are found, as one shared object for all of them."""
    return {} if uid is None else {names.LABEL_UID: uid}


def summarized(document: Object) -> ShardSummary:
    """Return the summary in an object that `summarize` made."""
    found: ShardSummary = document[_SUMMARY]
    return found


def of_stage(job: JobView, stage: Stage, shards: Sequence[ShardSummary]) -> list[ShardSummary]:
    """Return the summaries of this stage of the job's run."""
    return [each for each in shards if each.stage == stage.label and each.run == job.run]


def total_counts(shards: Sequence[ShardSummary]) -> Mapping[str, int]:
    """Return the total number of tasks by state, with the names of `status.stages`."""
    pending, running, done, empty, failed = (sum(each.counts[place] for each in shards) for place in range(5))
    return {"pending": pending, "running": running, "done": done + empty, "failed": failed}
