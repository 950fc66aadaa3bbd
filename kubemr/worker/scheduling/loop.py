"""A worker's life: claim tasks, run them and commit them; if none can be claimed, advance the job, help, or exit.

There is no master.
Each worker runs this loop, and decides by itself from what it reads from the apiserver.

1. Start (`identity.read_job_at_start`).
   In a job of many workers a random pause follows, so that they do not all continue at the same moment.
2. Work on the current stage (`Worker._work_on_stage`).
   The worker begins with its own part of the stage's shards, and continues with any shard whose label says `open`.
3. Work on one shard (`Worker._work_on_shard`).
   Claim a batch of tasks, run it in the child process, and commit it.
   The patch that commits a batch also claims the next batch.
4. If no shard is open (`Worker._when_idle`):

   - Reclaim the tasks of workers that the failure detector declares dead.
   - Advance the job if the stage is complete or a task has failed permanently.
     Of many idle workers only a few do that (`contention.AdvanceSchedule`).
     They seal the stage and begin the next one, or finish the job, or fail it.
   - Work on a shard that has pending tasks after all.
   - Run a backup of a straggler (`stragglers`).
   - Scale down: exit, if the job has more workers than it still needs (`scale_down`).
   - Wait on one watch until a shard opens, or until the next poll.
     The more workers a job has, the longer are the intervals between polls (`contention`).
5. Read the job again and repeat from step 2, until the job is final, deleted, or superseded by another run.
6. When the worker must shut down, commit the finished tasks and release the others (`Worker.release_all`).

The loop is a generator without I/O (`kubemr.locks.effects`): it yields effects, and a driver sends back the results.
It returns an `ExitReason`.
It raises `RequestRefusedError` if the apiserver rejects a request, and `StorageError` if a write to storage fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Generic

from attr import define, field

from kubemr.coordination import lost_attempts as losses
from kubemr.coordination import names
from kubemr.coordination.advance import Dependencies, advance
from kubemr.coordination.first_seen import FirstSeen
from kubemr.coordination.job_view import JobView, Stage
from kubemr.coordination.stage_snapshot import Unfinished, take_snapshot, unfinished
from kubemr.locks.backoff import Backoff
from kubemr.locks.conditional import Target, read
from kubemr.locks.effects import Now, Op, Random, Sleep, Watch, WatchEvent
from kubemr.locks.lease import RENEWALS_PER_DURATION, LeaseFailureDetector
from kubemr.logs import silent
from kubemr.tasks.claims import ShardNotFoundError, back_up, choose, commit_and_claim, mark_lost, repair_hint
from kubemr.tasks.shard import LABEL_STAGE, LABEL_TASKS, SHARDS, Shard
from kubemr.tasks.state import TaskState, Token
from kubemr.worker.scheduling import contention
from kubemr.worker.scheduling.batch import A, Batch, Executor, make_assignments
from kubemr.worker.scheduling.batch_size import BatchSizer
from kubemr.worker.scheduling.identity import ExitReason, Identity, read_job
from kubemr.worker.scheduling.scale_down import workers_needed
from kubemr.worker.scheduling.shard_search import find_open_shard, untouched_shard
from kubemr.worker.scheduling.stragglers import StragglerDetector

CLAIM_TRIES = 3
"""Lost claims in one shard before the worker tries another shard."""
CONTENTION_SECONDS = 0.2
LONGEST_CONTENTION_SECONDS = 5.0
"""The longest pause after `CLAIM_TRIES` lost claims: at first, and after it has doubled several times."""
UNFINISHED_SAMPLE = 64
"""How many unfinished shards an idle worker lists.  If there are more, workers are busy, and only one list in
`FULL_LIST_EVERY` is complete."""
FULL_LIST_EVERY = 16
EPOCH_DURATIONS = 4
"""The number of Lease durations after which an idle worker watches other holders."""


class _LoopExit(Exception):
    """Ends the loop of a worker; `Worker.run` returns the reason."""

    def __init__(self, reason: ExitReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


HeldTasks = Mapping[int, TaskState]
"""The tasks of a shard that this worker holds, by number."""


@define
class Worker(Generic[A]):
    """The loop of one worker process.  The methods are in the order of the worker's life."""

    identity: Identity
    executor: Executor[A]
    dependencies: Dependencies
    assign: Callable[[JobView, Stage, int, TaskState], A]
    batch_sizer: BatchSizer = field(factory=BatchSizer)
    batch: Batch[A] | None = None
    warn: Callable[..., object] = silent
    """Called with an event name and fields, for the log."""
    interrupted_log: tuple[str, bytes] | None = None
    """Key and content of the log of the attempt that `release_all` stopped."""
    _contention_backoff: Backoff = field(
        factory=lambda: Backoff(CONTENTION_SECONDS, LONGEST_CONTENTION_SECONDS), init=False
    )
    _initial_rounds_done: set[str] = field(factory=set, init=False)
    """The keys of the stages in which the worker has been through its own part of the shards."""
    _failure_detector: LeaseFailureDetector = field(init=False)
    _job_valid_until: float = field(default=float("-inf"), init=False)
    """Until this time an idle worker uses the job as it was last read."""
    _next_check_at: float = field(default=float("-inf"), init=False)
    """Until this time a check of the stage would find nothing new, unless this worker has run tasks since the last."""
    _advance_schedule: contention.AdvanceSchedule = field(init=False)
    _straggler_detector: StragglerDetector = field(init=False)
    _first_seen: FirstSeen = field(factory=FirstSeen, init=False)

    @_straggler_detector.default
    def _new_straggler_detector(self) -> StragglerDetector:
        return StragglerDetector(self.identity.token)

    @_advance_schedule.default
    def _new_advance_schedule(self) -> contention.AdvanceSchedule:
        return contention.AdvanceSchedule(self.identity.index)

    @_failure_detector.default
    def _new_failure_detector(self) -> LeaseFailureDetector:
        return LeaseFailureDetector(self.identity.lease_of, self.identity.lease_seconds)

    def run(self) -> Op[ExitReason]:
        """Work until the job ends or does not need this worker any more.  The worker must hold its Lease already."""
        try:
            job = yield from self._read_job()
            while True:
                stage = job.current
                if stage is not None and job.phase == "DEPLOYED":
                    version = yield from self._work_on_stage(job, stage)
                    job = yield from self._when_idle(job, stage, version)
                else:
                    yield Sleep(self._poll_interval(job.replicas, alone=True) * (0.5 + 0.5 * (yield Random())))
                    job = yield from self._read_job()
        except _LoopExit as exit:
            return exit.reason

    def _read_job(self) -> Op[JobView]:
        """Read the job; raise `_LoopExit` if the worker must exit."""
        job = yield from read_job(self.identity)
        if isinstance(job, ExitReason):
            raise _LoopExit(job)
        self._job_valid_until = (yield Now()) + contention.idle_poll_interval(job.replicas) * (0.5 + (yield Random()))
        return job

    # -- open shards -----------------------------------------------------------------------------------

    def _work_on_stage(self, job: JobView, stage: Stage) -> Op[str]:
        """Work until no shard is open: first on this worker's own part of the shards, then on any open shard.

        Return the resourceVersion at which no shard was open.
        """
        if stage.key not in self._initial_rounds_done:
            self.batch_sizer.reset()
            self._straggler_detector.reset()
            for number in contention.initial_shards(self.identity.index, job.replicas, stage.shards):
                shard = untouched_shard(job, stage, number, self.batch_sizer.size) or (
                    yield from self._read_shard(job, stage, number)
                )
                if shard is not None:
                    yield from self._work_on_shard(job, stage, shard)
            self._initial_rounds_done.add(stage.key)
        found = yield from find_open_shard(job, stage, more_open=False)
        while found.shard is not None:
            yield from self._work_on_shard(job, stage, found.shard)
            found = yield from find_open_shard(job, stage, more_open=found.more_open)
        return found.resource_version

    def _read_shard(self, job: JobView, stage: Stage, number: int) -> Op[Shard | None]:
        """Return a shard of the stage; None if it was deleted, perhaps with the job, which is read then."""
        document = yield from read(Target(SHARDS, job.namespace, job.shard_name(stage, number)))
        if document is None:
            yield from self._read_job()
            return None
        return Shard.parse(document)

    def _work_on_shard(self, job: JobView, stage: Stage, shard: Shard, straggler: int | None = None) -> Op[None]:
        """Claim and run tasks of one shard until it has no pending tasks; first run a backup of `straggler`."""
        token = self.identity.token
        tries = 0
        batch = self.batch = Batch(
            token,
            shard,
            self.executor,
            self.dependencies.store,
            job.max_attempts,
            self._check_job,
            self.identity.lease_seconds / 2,
            self.warn,
            job.run,
            on_failure=self._straggler_detector.record_failure,
        )
        try:
            held: HeldTasks = shard.held_by(token)
            if straggler is not None:
                result = yield from back_up(shard, straggler, token)
                batch.shard, held = result.shard, result.held
            while True:
                self._first_seen.record(batch.shard, (yield Now()), token)
                if not held:
                    if not batch.shard.pending:
                        return
                    if tries == CLAIM_TRIES:
                        yield Sleep(self._contention_backoff.next((yield Random())))
                        return
                    offset = yield from self._claim_offset(job, stage, tries)
                    # While one entry stands for all tasks, the first claim makes those of all other workers fail.
                    # That happens once per shard, so it does not count as a lost claim.
                    tries += 0 if batch.shard.collapsed else 1
                    claim = self._chooser(job, stage, offset)(batch.shard)
                    result = yield from commit_and_claim(batch.shard, token, {}, claim)
                    batch.shard, held = result.shard, result.held
                    continue
                tries = 0
                self._contention_backoff.reset()
                self._next_check_at = float("-inf")
                self._advance_schedule.worked = True
                held = yield from self._run_batch(job, stage, batch, held)
        except ShardNotFoundError:
            batch.abandon()
            yield from self._read_job()
        self.batch = None

    def _claim_offset(self, job: JobView, stage: Stage, lost_claims: int = 0) -> Op[float]:
        """Return where in a shard to claim; after the initial round, or lost claims, that is a random place.

        Two workers that proceed from the same place, task by task, would compete for every task.
        """
        if lost_claims or stage.key in self._initial_rounds_done:
            uniform: float = yield Random()
            return uniform
        return contention.claim_offset(self.identity.index, job, stage)

    def _chooser(self, job: JobView, stage: Stage, offset: float) -> Callable[[Shard], list[int]]:
        """Return a function that chooses tasks to claim, from `offset` on: 0 is the first pending task, 1 the end."""
        size = self.batch_sizer.size
        return lambda shard: choose(
            shard, min(size, contention.claim_quota(job, stage, shard)), int(offset * len(shard.pending))
        )

    def _run_batch(self, job: JobView, stage: Stage, batch: Batch[A], held: HeldTasks) -> Op[HeldTasks]:
        """Run the held tasks, then commit them and claim more in the same patch; return the tasks held then."""
        started_at: float = yield Now()
        yield from batch.run(make_assignments(held, lambda number, state: self.assign(job, stage, number, state)))
        ended_at: float = yield Now()
        self.batch_sizer.observe(batch.ended_count, ended_at - started_at)
        self._straggler_detector.record_durations(batch.durations)
        failures, batch.failures = batch.failures, 0
        if failures:
            result = yield from commit_and_claim(batch.shard, self.identity.token, batch.changes)
        else:
            claim = self._chooser(job, stage, (yield from self._claim_offset(job, stage)))(batch.shard)
            fallback = self._chooser(job, stage, (yield Random()))
            result = yield from commit_and_claim(batch.shard, self.identity.token, batch.changes, claim, fallback)
        batch.shard, batch.changes = result.shard, {}
        if result.shard.failed:
            yield from advance(job, (yield from take_snapshot(job, stage)), self.dependencies)
            yield from self._read_job()
        if failures:
            most_failures = max((state.failures for state in result.shard.tasks.values()), default=0)
            yield Sleep(Backoff(first=0.2, attempts=most_failures).next((yield Random())))
        return result.held

    def _check_job(self) -> Op[None]:
        """Read the job while a task runs; raise `_LoopExit` if the worker must exit."""
        yield from self._read_job()

    # -- no open shard ---------------------------------------------------------------------------------

    def _when_idle(self, job: JobView, stage: Stage, version: str) -> Op[JobView]:
        """Do step 4 of a worker's life, and return the job as it is afterwards.

        `version` is a resourceVersion at which no shard was open.
        """
        now: float = yield Now()
        if now < self._next_check_at:
            return (yield from self._wait_for_event(job, stage, version))
        listed = yield from self._list_unfinished(job, stage)
        # From a list that may be incomplete, the worker cannot conclude how much is left.
        is_tail = bool(listed.shards) and len(listed.shards) != UNFINISHED_SAMPLE
        needed = workers_needed(job, stage, listed.shards) if is_tail else job.replicas
        workers = min(job.replicas, needed)  # the other workers scale down
        watched = self._leases_to_watch(listed.shards, workers, now)
        dead = yield from self._failure_detector.find_dead(watched)
        shards = yield from self._reclaim(job, stage, listed.shards, dead)
        candidates = [shard for shard in shards if shard.pending or shard.held_by(self.identity.token)]
        if not shards or any(shard.failed for shard in shards):
            delay = yield from self._advance_schedule.remaining_delay(stage.key)
            if delay > 0:
                self._next_check_at = now + min(delay, self._poll_interval(workers, alone=True))
                return (yield from self._wait_for_event(job, stage, listed.resource_version))
            snapshot = yield from take_snapshot(job, stage)
            if (yield from advance(job, snapshot, self.dependencies)):
                return (yield from self._read_job())
            for shard in snapshot.mislabelled:  # All labels are "done", which is wrong.
                yield from repair_hint(shard)
        elif candidates:
            uniform: float = yield Random()
            yield from self._work_on_shard(job, stage, candidates[int(uniform * len(candidates))])
            return (yield from self._read_job())
        if is_tail:
            straggler = yield from self._pick_straggler(job, stage, shards, workers)
            if straggler is not None:
                yield from self._work_on_shard(job, stage, *straggler)
                return (yield from self._read_job())
            if self.identity.index >= needed:
                raise _LoopExit(ExitReason.SCALED_DOWN)
        self._advance_schedule.worked = False
        self._next_check_at = now + self._poll_interval(workers, alone=not watched) * (0.5 + 0.5 * (yield Random()))
        return (yield from self._wait_for_event(job, stage, listed.resource_version))

    def _list_unfinished(self, job: JobView, stage: Stage) -> Op[Unfinished]:
        """List the unfinished shards, or a sample of them."""
        listed = yield from unfinished(job, stage, UNFINISHED_SAMPLE)
        if len(listed.shards) == UNFINISHED_SAMPLE and (yield Random()) * FULL_LIST_EVERY < 1.0:
            listed = yield from unfinished(job, stage)
        return listed

    def _leases_to_watch(self, shards: Sequence[Shard], workers: int, now: float) -> list[Token]:
        """Return which holders of tasks this worker watches in its current epoch."""
        epoch = int(now / (EPOCH_DURATIONS * self.identity.lease_seconds))
        holders = {token for shard in shards for token in shard.holders} - {self.identity.token}
        return contention.leases_to_watch(self.identity.token, epoch, holders, workers)

    def _reclaim(self, job: JobView, stage: Stage, listed: Sequence[Shard], dead: set[Token]) -> Op[list[Shard]]:
        """Remove dead holders from their tasks, and repair labels; return the shards as they are then."""
        shards: list[Shard] = []
        for before in listed:
            shard = yield from mark_lost(before, dead, job.max_attempts)
            lost = list(losses.lost_attempts(before, shard, dead, self._first_seen))
            if lost:
                yield from losses.write_lost_records(job, stage, lost, self.dependencies, self.warn)
            yield from repair_hint(shard)
            self._first_seen.record(shard, (yield Now()), self.identity.token)
            shards.append(shard)
        return shards

    def _pick_straggler(
        self, job: JobView, stage: Stage, shards: Sequence[Shard], workers: int
    ) -> Op[tuple[Shard, int] | None]:
        """Return a task to back up, as its shard and its number, or None; `workers` idle workers may try the same."""
        now: float = yield Now()
        self._straggler_detector.observe(shards, now)
        overdue = self._straggler_detector.overdue(job, stage, shards, now)
        if not overdue:
            return None
        uniform: float = yield Random()
        probability = self._straggler_detector.backup_probability(len(overdue), workers)
        return overdue[int(uniform / probability * len(overdue))] if uniform < probability else None

    def _poll_interval(self, workers: int, *, alone: bool) -> float:
        """Return the longest seconds between two checks by one of `workers`.

        A worker that watches other holders (not `alone`) must not leave gaps in its observations.
        """
        interval = self.identity.lease_seconds / RENEWALS_PER_DURATION
        return max(interval, contention.idle_poll_interval(workers)) if alone else interval

    def _wait_for_event(self, job: JobView, stage: Stage, version: str) -> Op[JobView]:
        """Wait until the next check is due or a shard opens; return the job, which may be some seconds old."""
        seconds: float = max(0.0, self._next_check_at - (yield Now()))
        # The selector matches any stage: another worker that seals this stage labels the shards of the next one.
        selector = names.selector(job.uid, job.run, f"{LABEL_TASKS}=open")
        event: WatchEvent | None = yield Watch(SHARDS, self.identity.namespace, version, seconds, selector)
        if event is None or event.type == "ERROR":
            # A rejected watch ends immediately: wait for the rest of the time anyway.
            left: float = self._next_check_at - (yield Now())
            if left > 0:
                yield Sleep(left)
            return (yield from self._read_job())
        delay = contention.jitter_window(job.replicas)
        if delay:
            yield Sleep(delay * (yield Random()))
        else:
            self._next_check_at = float("-inf")  # So few workers may check the stage after every event.
        labels = event.object.get("metadata", {}).get("labels") or {}
        if labels.get(LABEL_STAGE) == stage.label and (yield Now()) < self._job_valid_until:
            return job
        return (yield from self._read_job())

    # -- the end ---------------------------------------------------------------------------------------

    def release_all(self) -> Op[None]:
        """Stop the running attempt, commit the finished tasks and release the others."""
        if self.batch is not None:
            with suppress(ShardNotFoundError):
                self.interrupted_log = self.batch.running_log()
                yield from self.batch.release_all()
            self.batch = None
