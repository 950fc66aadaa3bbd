"""Run many workers in one process, with the real loop and the real renewals, but without user code."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from kubemr.controller.client import Client
from kubemr.coordination.advance import Dependencies
from kubemr.coordination.job_view import JobView
from kubemr.coordination.timestamps import micro_timestamp, timestamp
from kubemr.locks import aio
from kubemr.locks.conditional import RequestRefusedError
from kubemr.locks.effects import Answer, Do, Op, Request, Sleep, Watch, WatchEvent
from kubemr.locks.lease import LeaseLostError, duration_of, keep_renewed, take
from kubemr.storage.base import ObjectStore
from kubemr.tasks.state import make_token
from kubemr.worker.scheduling.identity import ExitReason, Identity, read_job_at_start
from kubemr.worker.scheduling.loop import Worker
from support.lightexecutor import WAIT, LightExecutor, LightTask, light_assigner

LEASE_SECONDS = 15.0
T = TypeVar("T")


class Shared:
    """What all workers of this process share: the connection, and what they count."""

    def __init__(self, client: Client, store: ObjectStore, over: Callable[[], bool]) -> None:
        self._client = client
        self.store = store
        self.is_job_over = over
        """Returns whether the job has ended."""
        self.unanswered: Counter[str] = Counter()
        """How many requests had no answer, by their error; the audit log may not have them."""
        self.leases_lost = 0

    async def send(self, request: Request) -> Answer:
        """Send one request, and return the answer."""
        # A worker that exits lets its last renewal end, like a real one; otherwise the apiserver would log an error.
        answer = await asyncio.shield(self._client.send(request))
        if answer.status == 0:
            self.unanswered[answer.message] += 1
        return answer

    async def wait(self, watch: Watch) -> WatchEvent | None:
        """Wait on one watch."""
        return await self._client.wait(watch)


async def run_worker(job: JobView, index: int, shared: Shared, seconds: Callable[[LightTask], float]) -> None:
    """Run one worker from start to end; a task takes `seconds`."""
    token = make_token(index, int.from_bytes(os.urandom(8), "big"))
    executor = LightExecutor(time.monotonic, seconds)
    identity = Identity(job.namespace, job.name, job.uid, job.run, token, LEASE_SECONDS)
    lease = identity.lease_of(token)
    renewing: asyncio.Task[None] | None = None
    try:
        if isinstance(await aio.run(read_job_at_start(identity), shared), ExitReason):
            return
        taken = await aio.run(run_without_blocking(take(lease, token, micro_timestamp), executor), shared)
        duration = duration_of(taken, LEASE_SECONDS)
        identity = Identity(job.namespace, job.name, job.uid, job.run, token, duration)
        renewals = keep_renewed(lease, token, duration, alive=lambda: True, now_string=micro_timestamp)
        renewing = asyncio.create_task(aio.run(run_without_blocking(renewals, executor), shared))
        worker = Worker(identity, executor, Dependencies(shared.store, timestamp), light_assigner(token))
        await aio.run(run_without_blocking(worker.run(), executor), shared)
    except LeaseLostError:  # not an error after the end of the job: the operator deletes the Leases
        shared.leases_lost += not shared.is_job_over()
    except RequestRefusedError:
        # Nor is this: there are no pods to wait for, so the operator deletes the workers' rights immediately.
        if not shared.is_job_over():
            raise
    finally:
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)


def run_without_blocking(op: Op[T], executor: LightExecutor) -> Op[T]:
    """Run `op`, but sleep until a task may have ended where it would block."""
    answer: Any = None
    try:
        while True:
            effect = op.send(answer)
            if isinstance(effect, Do):
                if effect.what == WAIT:
                    yield Sleep(executor.seconds_until_outcome(1.0))
                answer = effect.function()
            else:
                answer = yield effect
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        op.close()
