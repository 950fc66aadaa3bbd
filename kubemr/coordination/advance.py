"""Advance a job: seal a stage, finish the job, or fail it.

Any process that notices that a job can advance does it: a worker after its commit, an idle worker, or the operator.
Each step is a write to storage, followed by one conditional patch of the job's status.
What is written is a function of committed state, so two writes of it do no harm; of many patches one succeeds.
A crash at any point leaves the job in the state before or after the step, from which any process can continue.
"""

from __future__ import annotations

from collections.abc import Callable

from attr import frozen

from kubemr.coordination import names
from kubemr.coordination.attempt_history import Attempt, Selection, attempts, first_error
from kubemr.coordination.attempt_records import LOG
from kubemr.coordination.job_view import JobView, Stage
from kubemr.coordination.object_store import Store, write
from kubemr.coordination.outputs import READERS, Index
from kubemr.coordination.results import Results, collect_results
from kubemr.coordination.stage_snapshot import StageSnapshot
from kubemr.locks.conditional import PatchResult, PatchStatus, RequestRefusedError, Target, apply
from kubemr.locks.effects import Answer, Do, Json, Op
from kubemr.locks.patch import Patch
from kubemr.reasons import ConditionType, Reason
from kubemr.tasks.shard import HINT_PATH, SHARDS

MAX_ERROR = 1024
"""The largest number of characters in `status.error`."""


@frozen
class Dependencies:
    """What advancing a job needs besides the apiserver: the object store, and the wall clock for people to read."""

    store: Store
    now_string: Callable[[], str]
    readers: int = READERS
    """The number of threads that read from the store at the same time."""


def advance(job: JobView, snapshot: StageSnapshot, dependencies: Dependencies) -> Op[bool]:
    """Make the change that the snapshot requires; return True if the job's status has changed.

    The change may be this process's or another's.
    Raise `RequestRefusedError`, or what the store raises.
    """
    if snapshot.failed:
        return (yield from fail(job, (yield from cause_of(job, snapshot, dependencies)), dependencies.now_string))
    if not snapshot.complete:
        return False
    key = names.index_key(job.storage_prefix, job.run, snapshot.stage.step, snapshot.stage.name)
    index = snapshot.index
    yield Do(lambda: write(dependencies.store, key, index.pieces()), "write index")
    following = job.after(snapshot.stage)
    if following is None:
        return (yield from finish(job, snapshot.stage, index, dependencies))
    return (yield from _next_stage(job, snapshot.stage, following, dependencies))


def _next_stage(job: JobView, done: Stage, following: Stage, dependencies: Dependencies) -> Op[bool]:
    now = yield Do(dependencies.now_string, "wall clock")
    patch = job.guard().replace("/status/stage", following.key)
    patch = patch.add(f"/status/stages/{job.position(done)}/completionTime", now)
    patch = patch.add(f"/status/stages/{job.position(following)}/startTime", now)
    outcome = yield from apply(job.status, patch, lambda document: JobView.of(document).stage == following.key)
    changed = _status_changed(job, outcome)
    if outcome.won:
        yield from open_stage(job, following)
    return changed


def open_stage(job: JobView, stage: Stage) -> Op[None]:
    """Label the stage's shards `open`, which wakes idle workers.

    It is only a hint: a lost patch delays the stage, and does no other harm.
    """
    for number in range(stage.shards):
        patch = Patch().test(HINT_PATH, "waiting").replace(HINT_PATH, "open")
        target = Target(SHARDS, job.namespace, job.shard_name(stage, number))
        answer: Answer = yield target.patch(patch)
        del answer  # A worker has already found a shard that is no longer `waiting`.


def finish(job: JobView, stage: Stage, index: Index, dependencies: Dependencies) -> Op[bool]:
    """Collect the results and complete the job, of which `stage` is the last stage and sealed."""
    found = yield from collect_results(job, stage, index.attempts, dependencies.store, dependencies.readers)
    if found is None:
        return True
    manifest = ""
    if not found.fit:
        key = f"{job.storage_prefix}run-{job.run}/results.json"
        yield Do(lambda: write(dependencies.store, key, found.manifest()), "write results")
        manifest = dependencies.store.url(key)
    now = yield Do(dependencies.now_string, "wall clock")
    return (yield from complete(job, Results(found.first, found.count, manifest), now))


def complete(job: JobView, results: Results, now: str) -> Op[bool]:
    """Set the job's phase to COMPLETE, with results, counts and condition, in one patch."""
    patch = job.guard().replace("/status/phase", "COMPLETE")
    patch = patch.add("/status/results", list(results.first)).add("/status/resultCount", results.count)
    if results.manifest:
        patch = patch.add("/status/resultsManifest", results.manifest)
    for number, each in enumerate(job.stages):
        path = f"/status/stages/{number}"
        patch = patch.add(f"{path}/done", each.total)
        for count in ("pending", "running", "failed"):
            patch = patch.add(f"{path}/{count}", 0)
    total = sum(each.total for each in job.stages)
    patch = patch.add("/status/progress", f"{total}/{total}").add("/status/completionTime", now)
    patch = patch.add(f"/status/stages/{len(job.stages) - 1}/completionTime", now)
    if (job.document.get("status") or {}).get("error"):
        patch = patch.remove("/status/error")  # What blocked the job; it changes only together with the conditions.
    patch += condition(job, ConditionType.COMPLETE, Reason.ALL_TASKS_DONE, f"{results.count} results", now)
    outcome = yield from apply(job.status, patch, lambda document: JobView.of(document).phase == "COMPLETE")
    return _status_changed(job, outcome)


def fail(job: JobView, cause: str, now_string: Callable[[], str], reason: Reason = Reason.TASK_FAILED) -> Op[bool]:
    """Set the job's phase to FAIL with `cause`.

    If several processes find a cause, the first one stays.
    """
    now = yield Do(now_string, "wall clock")
    error = _shortened(cause, MAX_ERROR)
    patch = job.guard().replace("/status/phase", "FAIL").add("/status/error", error)
    patch = patch.add("/status/completionTime", now)
    patch += condition(job, ConditionType.FAILED, reason, error, now)
    outcome = yield from apply(job.status, patch, lambda document: JobView.of(document).phase == "FAIL")
    return _status_changed(job, outcome)


def condition(
    job: JobView, kind: ConditionType, reason: Reason, message: str, now: str, *, status: str = "True"
) -> Patch:
    """Return the patch that adds or replaces one metav1.Condition.

    It is a part of a guarded patch, and tests what it replaces.
    """
    existing: list[Json] = (job.document.get("status") or {}).get("conditions") or []
    before: Json = next((each for each in existing if each.get("type") == kind), {})
    entry = {
        "type": kind.value,
        "status": status,
        "reason": reason.value,
        "message": message,
        "lastTransitionTime": before["lastTransitionTime"] if before.get("status") == status else now,
        "observedGeneration": int(job.document["metadata"].get("generation") or 1),
    }
    kept = [each for each in existing if each.get("type") != kind]
    return Patch().test("/status/conditions", existing or None).add("/status/conditions", [*kept, entry])


def cause_of(job: JobView, snapshot: StageSnapshot, dependencies: Dependencies) -> Op[str]:
    """Return in words why the first failed task failed: the error of its first attempt in this run that left one.

    If the task failed by losses, the log of the latest attempt of this run is named.
    Each loss except the last began an epoch, unless a backup continued alone.
    So that number of the latest epochs belongs to this run, and logs of earlier epochs may belong to another run.
    """
    number = snapshot.failed[0]
    state = snapshot.state(number)
    what = f"{snapshot.stage.key}/{number}"
    selection = Selection(snapshot.stage.step, snapshot.stage.name, number)

    def read_cause() -> str:
        found = sorted(attempts(dependencies.store, job.storage_prefix, selection))
        if state.failures < job.max_attempts:
            earliest = state.epoch - state.losses + 2
            logged = [attempt for attempt in found if LOG in attempt.files and attempt.epoch >= earliest]
            return _with_log(
                f"{what}: {state.losses} workers died while they ran it (out of memory, or killed); "
                "give the workers more memory or the task less input",
                logged[-1] if logged else None,
                dependencies.store,
            )
        times = "once" if state.failures == 1 else f"{state.failures} times"
        first = first_error(dependencies.store, found, job.run)
        if first is None:
            return f"{what} failed {times}: no attempt left an error"
        attempt, error = first
        return _with_log(f"{what} failed {times}: {error.message}", attempt, dependencies.store)

    cause: str = yield Do(read_cause, "read errors")
    return cause


def _with_log(cause: str, attempt: Attempt | None, store: Store) -> str:
    """Return the cause and, as its last line, the address of the attempt's log, if it left one.

    Both together have at most `MAX_ERROR` characters.
    """
    if attempt is None or LOG not in attempt.files:
        return cause
    line = f"\nlog: {store.url(attempt.prefix + LOG)}"
    if len(line) > MAX_ERROR // 2:
        return cause
    return _shortened(cause, MAX_ERROR - len(line)) + line


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _status_changed(job: JobView, outcome: PatchResult) -> bool:
    if outcome.status is PatchStatus.REFUSED:
        raise RequestRefusedError(f"patching the status of {job.target}", outcome.answer)
    return True
