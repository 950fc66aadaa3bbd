"""A worker's life: claim, run, commit; when nothing is open, see whether the stage can be moved on.

There is no master, so every worker does all of it, and each decision rests on what the apiserver showed:

1. go through one's own part of the stage's shards, then through any that are labelled open;
2. in each, claim a batch, run it, and commit it in the same patch that claims the next;
3. when no shard seems open: take tasks away from dead holders; if the stage is complete, seal it and begin the next,
   or finish the job; if a task failed for good, fail the job (both `kubemr.worker.scheduling.contention`);
   if one lasts far too long, join its holder;
4. else leave, when the job has more workers than it still has use for (`kubemr.worker.scheduling.scale_down`);
5. else wait on one watch for a shard to open, and look again from time to time: the more workers there are,
   the more seldom each of them (`kubemr.worker.scheduling.contention`).

The loop is a generator without I/O (`kubemr.locks.effects`).  It ends with an `ExitReason`, or with
`LeaseLostError` / `RequestRefusedError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from typing import Generic

from attr import define, field, frozen

from kubemr.coordination import lost_attempts as losses
from kubemr.coordination import names
from kubemr.coordination.advance import Dependencies, advance
from kubemr.coordination.first_seen import FirstSeen
from kubemr.coordination.job_view import JobView, Stage
from kubemr.coordination.stage_snapshot import Unfinished, take_snapshot, unfinished
from kubemr.locks.backoff import Backoff
from kubemr.locks.conditional import Target, read
from kubemr.locks.effects import Now, Op, Random, Sleep, Watch, WatchEvent
from kubemr.locks.lease import LEASES, RENEWALS_PER_DURATION, LeaseFailureDetector
from kubemr.logs import silent
from kubemr.tasks.claims import ShardNotFoundError, back_up, choose, commit_and_claim, mark_lost, repair_hint
from kubemr.tasks.shard import LABEL_STAGE, LABEL_TASKS, SHARDS, Shard
from kubemr.tasks.state import TaskState, Token, parse_token
from kubemr.worker.scheduling import contention
from kubemr.worker.scheduling.batch import A, Batch, Executor, assignments
from kubemr.worker.scheduling.batch_size import BatchSizer
from kubemr.worker.scheduling.scale_down import workers_needed
from kubemr.worker.scheduling.shard_search import find_open_shard, untouched_shard
from kubemr.worker.scheduling.stragglers import Stragglers

CLAIM_TRIES = 3
"""Lost claims in one shard before going elsewhere."""
CONTENTION_SECONDS = 0.2
LONGEST_CONTENTION_SECONDS = 5.0
"""The longest pause after so many lost claims: at first, and in the end, when it was doubled from one to the next."""
UNFINISHED_SAMPLE = 64
"""Shards that are not done to look at when idle.  Where there are more, workers are busy, and one look in
`FULL_LIST_EVERY` is at all of them."""
FULL_LIST_EVERY = 16
EPOCH_DURATIONS = 4
"""Lease durations after which an idle worker watches other holders."""


class ExitReason(Enum):
    """Why a worker is done."""

    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    GONE = "the job was deleted"
    SUPERSEDED = "another run of the job has begun"
    LEFT = "the job goes on and has no use for this worker any more"


class JobOver(Exception):
    """The job needs no worker any more, or not this one."""

    def __init__(self, ending: ExitReason) -> None:
        super().__init__(ending.value)
        self.ending = ending


@frozen
class Identity:
    """Which worker of which run of which job.  `lease_seconds` is the duration of the Leases."""

    namespace: str
    job: str
    uid: str
    run: int
    token: Token
    lease_seconds: float

    @property
    def index(self) -> int:
        """The worker's number."""
        return parse_token(self.token)[0]

    def lease_of(self, token: Token) -> Target:
        """The Lease that `token` must hold to live."""
        base = names.base(self.job, self.uid, self.run)
        return Target(LEASES, self.namespace, names.lease(base, parse_token(token)[0]))


HeldTasks = Mapping[int, TaskState]


@define
class Worker(Generic[A]):
    """One worker process's share in a job."""

    identity: Identity
    executor: Executor[A]
    dependencies: Dependencies
    assign: Callable[[JobView, Stage, int, TaskState], A]
    batch_sizer: BatchSizer = field(factory=BatchSizer)
    batch: Batch[A] | None = None
    warn: Callable[..., object] = silent
    """Takes an event name and fields, for the log."""
    cut_short: tuple[str, bytes] | None = None
    """Key and content of the log of the attempt that an orderly stop has cut short."""
    _contention_backoff: Backoff = field(
        factory=lambda: Backoff(CONTENTION_SECONDS, LONGEST_CONTENTION_SECONDS), init=False
    )
    _initial_rounds_done: set[str] = field(factory=set, init=False)
    """The stages in which the worker's own round is over."""
    _failure_detector: LeaseFailureDetector = field(init=False)
    _next_read: float = field(default=float("-inf"), init=False)
    """Until then the job as it was read last will do for an idle worker."""
    _next_check: float = field(default=float("-inf"), init=False)
    """Until then there is nothing to be found out by a worker that has not worked since its last look."""
    _advance_schedule: contention.AdvanceSchedule = field(init=False)
    _stragglers: Stragglers = field(init=False)
    _first_seen: FirstSeen = field(factory=FirstSeen, init=False)

    @_stragglers.default
    def _new_stragglers(self) -> Stragglers:
        return Stragglers(self.identity.token)

    @_advance_schedule.default
    def _new_advance_schedule(self) -> contention.AdvanceSchedule:
        return contention.AdvanceSchedule(self.identity.index)

    @_failure_detector.default
    def _new_failure_detector(self) -> LeaseFailureDetector:
        return LeaseFailureDetector(self.identity.lease_of, self.identity.lease_seconds)

    def run(self) -> Op[ExitReason]:
        """Work until the job is over, or has no use for this worker.  The Lease must be held already."""
        try:
            job = yield from self._read()
            while True:
                stage = job.current
                if stage is not None and job.phase == "DEPLOYED":
                    version = yield from self._work(job, stage)
                    job = yield from self._when_idle(job, stage, version)
                else:
                    yield Sleep(self._idle_seconds(job.replicas, alone=True) * (0.5 + 0.5 * (yield Random())))
                    job = yield from self._read()
        except JobOver as over:
            return over.ending

    def release_all(self) -> Op[None]:
        """Give back what is held, in an orderly stop."""
        if self.batch is not None:
            with suppress(ShardNotFoundError):
                self.cut_short = self.batch.running_log()
                yield from self.batch.release_all()
            self.batch = None

    # -- the job ---------------------------------------------------------------------------------------

    def _read(self) -> Op[JobView]:
        job = yield from read_job(self.identity)
        self._next_read = (yield Now()) + contention.idle_poll_interval(job.replicas) * (0.5 + (yield Random()))
        return job

    # -- tasks -----------------------------------------------------------------------------------------

    def _work(self, job: JobView, stage: Stage) -> Op[str]:
        """Work until no shard seems open: first on one's own part of them, then on any that is labelled open.

        Gives the resourceVersion at which none was.
        """
        if stage.key not in self._initial_rounds_done:
            self.batch_sizer.restart()
            self._stragglers.restart()
            for number in contention.initial_shards(self.identity.index, job.replicas, stage.shards):
                shard = untouched_shard(job, stage, number, self.batch_sizer.size) or (
                    yield from self._look_at(job, stage, number)
                )
                if shard is not None:
                    yield from self._work_shard(job, stage, shard)
            self._initial_rounds_done.add(stage.key)
        found = yield from find_open_shard(job, stage, more_open=False)
        while found.shard is not None:
            yield from self._work_shard(job, stage, found.shard)
            found = yield from find_open_shard(job, stage, more_open=found.more_open)
        return found.resource_version

    def _look_at(self, job: JobView, stage: Stage, number: int) -> Op[Shard | None]:
        """One of the stage's shards; None when there is none any more, which may be the end of the job."""
        document = yield from read(Target(SHARDS, job.namespace, job.shard_name(stage, number)))
        if document is None:
            yield from self._read()
            return None
        return Shard.parse(document)

    def _work_shard(self, job: JobView, stage: Stage, shard: Shard, straggler: int | None = None) -> Op[None]:
        """Claim and run tasks of one shard until it has none to give; first of all back up `straggler`."""
        token = self.identity.token
        tries = 0
        batch = self.batch = Batch(
            token,
            shard,
            self.executor,
            self.dependencies.store,
            job.max_attempts,
            self._check,
            self.identity.lease_seconds / 2,
            self.warn,
            job.run,
            failed=self._stragglers.failed,
        )
        try:
            held: HeldTasks = shard.held_by(token)
            if straggler is not None:
                joined = yield from back_up(shard, straggler, token)
                batch.shard, held = joined.shard, joined.held
            while True:
                self._first_seen.record(batch.shard, (yield Now()), token)
                if not held:
                    if not batch.shard.pending:
                        return
                    if tries == CLAIM_TRIES:
                        yield Sleep(self._contention_backoff.next((yield Random())))
                        return
                    place = yield from self._claim_offset(job, stage, tries)
                    # Of one entry, whoever is first takes from all others the claims of other tasks: once, so no loss.
                    tries += 0 if batch.shard.collapsed else 1
                    settled = yield from commit_and_claim(
                        batch.shard, token, {}, self._choose(job, stage, place)(batch.shard)
                    )
                    batch.shard, held = settled.shard, settled.held
                    continue
                tries = 0
                self._contention_backoff.reset()
                self._next_check = float("-inf")
                self._advance_schedule.worked = True
                held = yield from self._run(job, stage, batch, held)
        except ShardNotFoundError:
            batch.give_up()
            yield from self._read()
        self.batch = None

    def _run(self, job: JobView, stage: Stage, batch: Batch[A], held: HeldTasks) -> Op[HeldTasks]:
        """Run what is held, settle it, and claim more in the same patch; gives what is held then."""
        from_time: float = yield Now()
        yield from batch.run(assignments(held, lambda number, state: self.assign(job, stage, number, state)))
        to_time: float = yield Now()
        self.batch_sizer.observe(batch.ended, to_time - from_time)
        self._stragglers.ran(batch.durations)
        failures, batch.failures = batch.failures, 0
        if failures:
            settled = yield from commit_and_claim(batch.shard, self.identity.token, batch.changes)
        else:
            claim = self._choose(job, stage, (yield from self._claim_offset(job, stage)))(batch.shard)
            instead = self._choose(job, stage, (yield Random()))
            settled = yield from commit_and_claim(batch.shard, self.identity.token, batch.changes, claim, instead)
        batch.shard, batch.changes = settled.shard, {}
        if settled.shard.failed:
            yield from advance(job, (yield from take_snapshot(job, stage)), self.dependencies)
            yield from self._read()
        if failures:
            worst = max((state.failures for state in settled.shard.tasks.values()), default=0)
            yield Sleep(Backoff(first=0.2, attempts=worst).next((yield Random())))
        return settled.held

    def _claim_offset(self, job: JobView, stage: Stage, lost: int = 0) -> Op[float]:
        """Where in a shard to claim from; after one's own round, or `lost` claims, anywhere.

        Two who went from task to task at the same place would meet at each.
        """
        if lost or stage.key in self._initial_rounds_done:
            draw: float = yield Random()
            return draw
        return contention.claim_offset(self.identity.index, job, stage)

    def _choose(self, job: JobView, stage: Stage, place: float) -> Callable[[Shard], list[int]]:
        """Chooses what to claim of a shard, from `place` on (0 is its first pending task, 1 is after the last)."""
        size = self.batch_sizer.size
        return lambda shard: choose(
            shard, min(size, contention.claim_quota(job, stage, shard)), int(place * len(shard.pending))
        )

    def _check(self) -> Op[None]:
        """Called now and then while a task lasts: is the job still there?"""
        yield from self._read()

    # -- nothing open ----------------------------------------------------------------------------------

    def _when_idle(self, job: JobView, stage: Stage, version: str) -> Op[JobView]:
        """Move the stage on if it can be; else wait a little.  Gives the job as it is then.

        At the resourceVersion `version` no shard was open.
        """
        now: float = yield Now()
        if now < self._next_check:
            return (yield from self._wait(job, stage, version))
        rest = yield from self._list_unfinished(job, stage)
        # Of a glance that may not have shown all, nothing follows about how much is left.
        tail = bool(rest.shards) and len(rest.shards) != UNFINISHED_SAMPLE
        needed = workers_needed(job, stage, rest.shards) if tail else job.replicas
        workers = min(job.replicas, needed)  # The others leave.
        epoch = int(now / (EPOCH_DURATIONS * self.identity.lease_seconds))
        suspects = {token for shard in rest.shards for token in shard.holders} - {self.identity.token}
        watched = contention.leases_to_watch(self.identity.token, epoch, suspects, workers)
        dead = yield from self._failure_detector.find_dead(watched)
        candidates: list[Shard] = []
        shards: list[Shard] = []
        for seen_shard in rest.shards:
            shard = yield from mark_lost(seen_shard, dead, job.max_attempts)
            lost = list(losses.lost_attempts(seen_shard, shard, dead, self._first_seen))
            if lost:
                yield from losses.write_lost_records(job, stage, lost, self.dependencies, self.warn)
            yield from repair_hint(shard)
            self._first_seen.record(shard, (yield Now()), self.identity.token)
            shards.append(shard)
            if shard.pending or shard.held_by(self.identity.token):
                candidates.append(shard)
        if not rest.shards or any(shard.failed for shard in shards):
            until = yield from self._advance_schedule.remaining_delay(stage.key)
            if until > 0:
                self._next_check = now + min(until, self._idle_seconds(workers, alone=True))
                return (yield from self._wait(job, stage, rest.resource_version))
            seen = yield from take_snapshot(job, stage)
            if (yield from advance(job, seen, self.dependencies)):
                return (yield from self._read())
            for shard in seen.mislabelled:  # All hints say "done", and they are wrong.
                yield from repair_hint(shard)
        elif candidates:
            draw: float = yield Random()
            yield from self._work_shard(job, stage, candidates[int(draw * len(candidates))])
            return (yield from self._read())
        if tail:
            straggler = yield from self._straggler(job, stage, shards, workers)
            if straggler is not None:
                yield from self._work_shard(job, stage, *straggler)
                return (yield from self._read())
            if self.identity.index >= needed:
                raise JobOver(ExitReason.LEFT)
        self._advance_schedule.worked = False
        self._next_check = now + self._idle_seconds(workers, alone=not watched) * (0.5 + 0.5 * (yield Random()))
        return (yield from self._wait(job, stage, rest.resource_version))

    def _list_unfinished(self, job: JobView, stage: Stage) -> Op[Unfinished]:
        """The shards that are not done, or some of them."""
        rest = yield from unfinished(job, stage, UNFINISHED_SAMPLE)
        if len(rest.shards) == UNFINISHED_SAMPLE and (yield Random()) * FULL_LIST_EVERY < 1.0:
            rest = yield from unfinished(job, stage)
        return rest

    def _straggler(
        self, job: JobView, stage: Stage, shards: Sequence[Shard], workers: int
    ) -> Op[tuple[Shard, int] | None]:
        """A task to back up now, and its shard; so many workers are there to do it."""
        now: float = yield Now()
        self._stragglers.see(shards, now)
        found = self._stragglers.overdue(job, stage, shards, now)
        if not found:
            return None
        draw: float = yield Random()
        chance = self._stragglers.chance(len(found), workers)
        return found[int(draw / chance * len(found))] if draw < chance else None

    def _idle_seconds(self, workers: int, *, alone: bool) -> float:
        """How long one of so many waits at most; observing others (not `alone`) tolerates no gap."""
        interval = self.identity.lease_seconds / RENEWALS_PER_DURATION
        return max(interval, contention.idle_poll_interval(workers)) if alone else interval

    def _wait(self, job: JobView, stage: Stage, version: str) -> Op[JobView]:
        """Wait until it is time to look again, or a shard opens; gives the job as it is then, or was a moment ago."""
        seconds: float = max(0.0, self._next_check - (yield Now()))
        # Of any stage: the next one's shards are labelled when another worker has sealed this one.
        selector = names.selector(job.uid, job.run, f"{LABEL_TASKS}=open")
        event: WatchEvent | None = yield Watch(SHARDS, self.identity.namespace, version, seconds, selector)
        if event is None or event.type == "ERROR":
            # A watch that is refused is over at once: what is left of the time must pass all the same.
            left: float = self._next_check - (yield Now())
            if left > 0:
                yield Sleep(left)
            return (yield from self._read())
        delay = contention.jitter_window(job.replicas)
        if delay:
            yield Sleep(delay * (yield Random()))
        else:
            self._next_check = float("-inf")  # So few can afford to look closely at whatever has changed.
        labels = event.object.get("metadata", {}).get("labels") or {}
        if labels.get(LABEL_STAGE) == stage.label and (yield Now()) < self._next_read:
            return job
        return (yield from self._read())


def read_job(identity: Identity) -> Op[JobView]:
    """The job as it is; raises `JobOver` when it needs no worker any more."""
    document = yield from read(Target(names.JOBS, identity.namespace, identity.job))
    if document is None or document["metadata"]["uid"] != identity.uid:
        raise JobOver(ExitReason.GONE)
    job = JobView.of(document)
    if document["metadata"].get("deletionTimestamp"):
        raise JobOver(ExitReason.GONE)
    if job.run != identity.run:
        raise JobOver(ExitReason.SUPERSEDED)
    if job.final:
        raise JobOver(ExitReason(job.phase))
    return job


def begin(identity: Identity) -> Op[JobView]:
    """The first read; where there are many workers, it takes a moment, so that they do not all go on at once."""
    job = yield from read_job(identity)
    delay = contention.jitter_window(job.replicas)
    if delay:
        yield Sleep(delay * (yield Random()))
    return job
