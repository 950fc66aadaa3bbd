"""The operator: informers feed a work queue, workers reconcile jobs, a Lease says that this process lives.

Several operators run at once.  Each sees all jobs; which one drives a job is settled on the job itself
(`reconcile.job_lock`).  An operator that loses its Lease stops: others have taken its jobs over by then.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping

import structlog

from kubemr.controller.client import Client
from kubemr.controller.clock import AsyncioClock
from kubemr.controller.informer_cache import InformerCache
from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.objects.create import NameConflictError
from kubemr.controller.reconcile.operator_leases import delete_stale_leases
from kubemr.controller.reconcile.reconciler import reconcile
from kubemr.controller.reconcile.storage.orphaned_prefixes import sweep
from kubemr.controller.settings import OperatorSettings
from kubemr.controller.workqueue import Controller, RateLimitedQueue
from kubemr.controller.workqueue.metrics import MetricsProvider, QueueMetrics
from kubemr.coordination.kinds import COMPONENT, MANAGED_BY
from kubemr.coordination.timestamps import micro_timestamp
from kubemr.locks import aio
from kubemr.locks.conditional import RequestRefusedError, Target
from kubemr.locks.effects import Answer, Op, Request, Sleep
from kubemr.locks.failure_detectors import LeaseDetector
from kubemr.locks.identity import unique
from kubemr.locks.lease import LEASES, LeaseLostError, keep_renewed, release, take, whole_seconds
from kubemr.tasks.state import Token

DRAIN_SECONDS = 20.0
LEAVE_SECONDS = 5.0
BLOCKED_SECONDS = 2.0
"""How soon to look again at a job whose child's name is still taken."""

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Operator:
    """One operator.  `run` until `stop` is set, or raise `LeaseLostError`."""

    def __init__(self, client: Client, settings: OperatorSettings, *, metrics: MetricsProvider | None = None) -> None:
        self._client = client
        self._settings = settings
        self.identity = unique(settings.instance)
        self.cache = InformerCache(client)
        clock = AsyncioClock()
        measured: QueueMetrics[str] = QueueMetrics("mapreducejobs", clock=clock, provider=metrics)
        self.queue: RateLimitedQueue[str] = RateLimitedQueue("mapreducejobs", clock=clock, metrics=measured)
        self.ready = False
        """It holds its Lease, its caches are filled, and it takes jobs on."""
        self._context = ReconcileContext(
            self.identity, settings, LeaseDetector(self._lease_of, settings.lease_seconds), self.cache
        )
        # Of every job that was looked at: whom to forget when its key stands for nothing, or for another job.
        self._uids: dict[str, str] = {}
        self._log = log.bind(operator=self.identity)

    @property
    def counters(self) -> Mapping[str, int]:
        """What has happened how often (`reconcile.context.Operator.counters`)."""
        return self._context.counters

    @property
    def cached(self) -> Mapping[str, int]:
        """How many objects the caches hold, by kind."""
        return {informer.name: len(informer.store) for informer in self.cache.informers}

    def _lease_of(self, identity: str) -> Target:
        return Target(LEASES, self._settings.namespace, f"kubemr-{identity}")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then finish what was begun and give the Lease up."""
        lease, token = self._lease_of(self.identity), Token(self.identity)
        try:
            if await _unless(stop, self._take_lease(lease, token)):
                self._log.info("operator_started", namespace=self._settings.namespace)
                await self._work(stop, lease, token)
        except ExceptionGroup as group:
            raise _first(group) from group
        finally:
            await asyncio.shield(self._leave(lease, token))
            self._log.info("operator_stopped")

    async def _take_lease(self, lease: Target, token: Token) -> None:
        await aio.run(_create_lease(lease, self._settings.lease_seconds), self._client)
        await aio.run(take(lease, token, micro_timestamp), self._client)

    async def _work(self, stop: asyncio.Event, lease: Target, token: Token) -> None:
        controller = Controller("mapreducejobs", self.queue, self._reconcile, workers=self._settings.workers)
        self.cache.feed(self.queue)
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self._keep_lease_renewed(lease, token))
            following = [group.create_task(informer.run()) for informer in self.cache.informers]
            following.append(group.create_task(self._sweep()))
            if await _unless(stop, self._synced()):
                working = group.create_task(controller.run())
                self.ready = True
                await stop.wait()
                self.ready = False
                await controller.stop(DRAIN_SECONDS)
                await working
            for task in (keeping, *following):
                task.cancel()

    async def _synced(self) -> None:
        for informer in self.cache.informers:
            await informer.wait_synced()

    async def _keep_lease_renewed(self, lease: Target, token: Token) -> None:
        duration = self._settings.lease_seconds
        await aio.run(
            keep_renewed(lease, token, duration, alive=lambda: True, now_string=micro_timestamp), self._client
        )

    async def _sweep(self) -> None:
        """Every few minutes, beginning soon after the start: another operator's list may be waiting, or its Lease."""
        while True:
            await asyncio.sleep(self._settings.sweep_seconds * random.uniform(0.1, 1.0))
            try:
                await aio.run(delete_stale_leases(self._context), self._client)
                problems = await aio.run(sweep(self._context), self._client)
            except RequestRefusedError as refused:
                self._log.warning("sweep_refused", error=str(refused))
                continue
            for uid, problem in problems.items():
                self._log.warning("prefix_not_swept", job_uid=uid, error=problem)

    async def _leave(self, lease: Target, token: Token) -> None:
        """Free the Lease, so that others take this operator's jobs over at once, and remove it."""
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await aio.run(release(lease, token), self._client)
                await self._client.send(Request("delete", LEASES, lease.namespace, lease.name))
        except (TimeoutError, RequestRefusedError) as problem:
            self._log.warning("lease_not_released", lease=str(lease), error=str(problem) or "no answer in time")

    async def _reconcile(self, key: str) -> float | None:
        document = self.cache.jobs.store.get(key)
        uid = None if document is None else document["metadata"]["uid"]
        known = self._uids.get(key)
        if known is not None and known != uid:
            self._context.forget(known)
        if document is None:
            self._uids.pop(key, None)
            return None
        self._uids[key] = document["metadata"]["uid"]
        try:
            after = await aio.run(reconcile(document, self._context), self._client)
        except NameConflictError as blocked:
            self._log.info("child_in_the_way", job=key, reason=str(blocked))
            return BLOCKED_SECONDS
        return after.requeue_after


async def _unless(stop: asyncio.Event, doing: Coroutine[None, None, None]) -> bool:
    """Do it; False when `stop` was set first, and it was called off."""
    task, stopped = asyncio.create_task(doing), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return False
        await task
        return True
    finally:
        for each in (task, stopped):
            each.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)


def _first(group: BaseExceptionGroup) -> BaseException:
    """What went wrong first; the loss of the Lease before all else."""
    lost, rest = group.split(LeaseLostError)
    found: BaseException = lost or rest or group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def _create_lease(target: Target, duration: float) -> Op[None]:
    """Make this operator's own Lease; its name is new with every start."""
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "labels": {MANAGED_BY: "kubemr", COMPONENT: "operator"},
        },
        "spec": {"leaseDurationSeconds": whole_seconds(duration)},
    }
    while True:
        answer: Answer = yield Request("create", LEASES, target.namespace, body=body)
        if answer.ok or answer.status == 409:
            return
        if answer.definite and answer.sent and answer.status != 429:
            raise PermissionError(f"creating {target}: the apiserver refused it with {answer.status}: {answer.message}")
        yield Sleep(1.0)
