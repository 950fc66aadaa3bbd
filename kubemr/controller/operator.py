"""The operator: informers fill a work queue, workers reconcile jobs, and a Lease shows that the process is alive.

Several operators run at the same time, and each sees all jobs.
The lock of a job decides which operator reconciles it (`reconcile.job_lock`).
An operator that loses its Lease stops, because other operators have taken over its jobs by then.
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
from kubemr.controller.reconcile.storage.orphaned_prefixes import sweep_orphaned_prefixes
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
RELEASE_SECONDS = 5.0
NAME_CONFLICT_SECONDS = 2.0
"""How soon to reconcile a job again if the name of a child is still in use."""

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Operator:
    """One operator.  `run` returns after `stop` is set, or raises `LeaseLostError`."""

    def __init__(self, client: Client, settings: OperatorSettings, *, metrics: MetricsProvider | None = None) -> None:
        self._client = client
        self._settings = settings
        self.identity = unique(settings.instance)
        self.cache = InformerCache(client)
        clock = AsyncioClock()
        queue_metrics: QueueMetrics[str] = QueueMetrics("mapreducejobs", clock=clock, provider=metrics)
        self.queue: RateLimitedQueue[str] = RateLimitedQueue("mapreducejobs", clock=clock, metrics=queue_metrics)
        self.ready = False
        """True while the operator holds its Lease, its caches are filled, and it reconciles jobs."""
        self._context = ReconcileContext(
            self.identity, settings, LeaseDetector(self._lease_of, settings.lease_seconds), self.cache
        )
        # The uid of each job that was reconciled, by its key: a changed uid tells what the context must forget.
        self._uids: dict[str, str] = {}
        self._log = log.bind(operator=self.identity)

    @property
    def counters(self) -> Mapping[str, int]:
        """How often each kind of event has happened (`reconcile.context.ReconcileContext.counters`)."""
        return self._context.counters

    @property
    def cached(self) -> Mapping[str, int]:
        """How many objects the caches hold, by kind."""
        return {informer.name: len(informer.store) for informer in self.cache.informers}

    def _lease_of(self, identity: str) -> Target:
        return Target(LEASES, self._settings.namespace, f"kubemr-{identity}")

    async def run(self, stop: asyncio.Event) -> None:
        """Reconcile jobs until `stop` is set, then drain the work queue and release the Lease."""
        lease, token = self._lease_of(self.identity), Token(self.identity)
        try:
            if await _unless_stopped(stop, self._take_lease(lease, token)):
                self._log.info("operator_started", namespace=self._settings.namespace)
                await self._work(stop, lease, token)
        except ExceptionGroup as group:
            raise _first_error(group) from group
        finally:
            await asyncio.shield(self._release_lease(lease, token))
            self._log.info("operator_stopped")

    async def _take_lease(self, lease: Target, token: Token) -> None:
        await aio.run(_create_lease(lease, self._settings.lease_seconds), self._client)
        await aio.run(take(lease, token, micro_timestamp), self._client)

    async def _work(self, stop: asyncio.Event, lease: Target, token: Token) -> None:
        controller = Controller("mapreducejobs", self.queue, self._reconcile, workers=self._settings.workers)
        self.cache.attach_queue(self.queue)
        async with asyncio.TaskGroup() as group:
            renewal = group.create_task(self._keep_lease_renewed(lease, token))
            watches = [group.create_task(informer.run()) for informer in self.cache.informers]
            watches.append(group.create_task(self._sweep()))
            if await _unless_stopped(stop, self._wait_synced()):
                work = group.create_task(controller.run())
                self.ready = True
                await stop.wait()
                self.ready = False
                await controller.stop(DRAIN_SECONDS)
                await work
            for task in (renewal, *watches):
                task.cancel()

    async def _wait_synced(self) -> None:
        for informer in self.cache.informers:
            await informer.wait_synced()

    async def _keep_lease_renewed(self, lease: Target, token: Token) -> None:
        duration = self._settings.lease_seconds
        await aio.run(
            keep_renewed(lease, token, duration, alive=lambda: True, now_string=micro_timestamp), self._client
        )

    async def _sweep(self) -> None:
        """Delete stale Leases and orphaned objects every few minutes.

        The first time is soon after the start, because another operator may have died with such work pending.
        """
        while True:
            await asyncio.sleep(self._settings.sweep_seconds * random.uniform(0.1, 1.0))
            try:
                await aio.run(delete_stale_leases(self._context), self._client)
                problems = await aio.run(sweep_orphaned_prefixes(self._context), self._client)
            except RequestRefusedError as refused:
                self._log.warning("sweep_refused", error=str(refused))
                continue
            for uid, problem in problems.items():
                self._log.warning("prefix_cleanup_failed", job_uid=uid, error=problem)

    async def _release_lease(self, lease: Target, token: Token) -> None:
        """Release the Lease, so that other operators take over this operator's jobs at once, and delete it."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await aio.run(release(lease, token), self._client)
                await self._client.send(Request("delete", LEASES, lease.namespace, lease.name))
        except (TimeoutError, RequestRefusedError) as problem:
            self._log.warning("lease_release_failed", lease=str(lease), error=str(problem) or "no answer in time")

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
            result = await aio.run(reconcile(document, self._context), self._client)
        except NameConflictError as blocked:
            self._log.info("child_name_conflict", job=key, reason=str(blocked))
            return NAME_CONFLICT_SECONDS
        return result.requeue_after


async def _unless_stopped(stop: asyncio.Event, operation: Coroutine[None, None, None]) -> bool:
    """Run `operation` to its end; cancel it and return False if `stop` is set first."""
    task, stopped = asyncio.create_task(operation), asyncio.create_task(stop.wait())
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


def _first_error(group: BaseExceptionGroup) -> BaseException:
    """Return the first error of a group, but prefer the loss of the Lease."""
    lost, rest = group.split(LeaseLostError)
    found: BaseException = lost or rest or group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def _create_lease(target: Target, duration: float) -> Op[None]:
    """Create this operator's own Lease; every start of the process has another name for it."""
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
