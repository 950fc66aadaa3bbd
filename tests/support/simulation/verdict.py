"""Whether a job ended as it had to: with the exact result, or with a true cause of its own.

What the status says is held against the shards, and against what the user's code knows of itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from math import inf

from attr import frozen

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.locks.effects import Json
from kubemr.tasks import encoding
from kubemr.tasks.shard import SHARDS
from support.simulation.cluster import Cluster
from support.simulation.user_code import check_results

_FAILED = re.compile(r"(\S+) failed (?:once|(\d+) times): (.*?)(?:\nlog: .*)?", re.DOTALL)
_LOST = re.compile(r"(\S+): (\d+) workers died while they ran it .*", re.DOTALL)


@frozen
class Kept:
    """What a run that failed had committed."""

    uid: str
    run: int
    tasks: frozenset[str]


@frozen
class Deleted:
    """A shard that somebody deleted; `needed` when the job cannot be completed without it any more."""

    shard: str
    needed: bool


def check(cluster: Cluster, spec: Json, earlier: Sequence[Kept], deleted: Deleted | None) -> None:
    """The job has come to its end: to the right one?"""
    job = JobView.of(cluster.job)
    if job.phase == "FAIL" and deleted is not None:
        error = job.document["status"]["error"]
        assert error.startswith(f"the shard {deleted.shard} was deleted"), f"FAIL: {error}"
    elif job.phase == "FAIL":
        check_cause(cluster)
    else:
        gone = deleted is not None and deleted.needed and deleted.shard not in cluster.world.created_late
        assert not gone, f"{job.phase} without {deleted}"
        doomed = [task for task, times in cluster.code.frail.items() if times == inf or task in cluster.code.deadly]
        assert job.run > 1 or not doomed, f"{job.phase} although {doomed} cannot succeed"
        _check_result(cluster, job, spec)
    for each in earlier:
        again = sorted(task for uid, run, task in cluster.code.begun if uid == each.uid and run > each.run)
        lost = each.tasks & set(again)
        assert not lost, f"what run {each.run} had committed ran again: {sorted(lost)}"


def _check_result(cluster: Cluster, job: JobView, spec: Json) -> None:
    """The result is exactly what the inputs call for."""
    status = job.document["status"]
    assert status["phase"] == "COMPLETE", f"{status['phase']}: {status.get('error')}"
    results = status["results"]
    if "resultsManifest" in status:
        results = json.loads(cluster.world.store.objects[status["resultsManifest"].removeprefix("memory://")])
    assert len(results) == status["resultCount"], status
    check_results(spec["inputs"], spec["partitions"], results)


def check_cause(cluster: Cluster) -> None:
    """A task has used up all that the job allows, in this run, and what is said of it is so."""
    job = JobView.of(cluster.job)
    error = job.document["status"]["error"]
    failed, lost = _FAILED.fullmatch(error), _LOST.fullmatch(error)
    told = failed or lost
    assert told is not None, f"FAIL: {error}"
    name, _, failures, losses = _states(cluster, job)[told[1]].split("/")[:4]
    assert name == "failed", f"FAIL: {error}; but the task is {name}"
    if failed is not None:
        times = int(failed[2] or 1)
        said = cluster.code.raised.get((job.uid, job.run, failed[1]), [])
        assert times == int(failures) == job.max_attempts, f"FAIL: {error}; {failures} failures are counted"
        assert len(said) >= times, f"FAIL: {error}; but its attempts in this run only said {said}"
        assert failed[3] in said, f"FAIL: {error}; but its attempts in this run said {said}"
    if lost is not None:
        assert int(lost[2]) == int(losses) > job.max_attempts, f"FAIL: {error}; {losses} losses are counted"


def kept(cluster: Cluster, job: JobView) -> Kept:
    """What is committed in the job's run."""
    states = _states(cluster, job)
    done = frozenset(task for task, text in states.items() if text.startswith(("done/", "empty/")))
    return Kept(job.uid, job.run, done)


def _states(cluster: Cluster, job: JobView) -> dict[str, str]:
    """The state of each task of the job's run, by its name."""
    stages = {stage.label: stage.key for stage in job.stages}
    return {
        f"{stages[item['metadata']['labels'][names.LABEL_STAGE]]}/{number}": text
        for item in cluster.list(SHARDS, names.selector(job.uid, job.run))
        for number, text in encoding.texts(item["tasks"]).items()
    }
