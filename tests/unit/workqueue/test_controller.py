"""The pool of workers: requeues, errors and shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog

from kubemr.controller.workqueue import Controller, RateLimitedQueue


@asynccontextmanager
async def running(controller: Controller[str]) -> AsyncIterator[asyncio.Task[None]]:
    """Run the controller as a task, which is cancelled at the end."""
    task = asyncio.create_task(controller.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_success_forgets_failures_and_requeues_when_asked() -> None:
    """None is the end; a number comes again after so many seconds, as a success."""
    loop = asyncio.get_running_loop()
    calls: list[float] = []

    async def reconcile(key: str) -> float | None:
        calls.append(loop.time() - start)
        return 60.0 if len(calls) < 3 else None

    queue: RateLimitedQueue[str] = RateLimitedQueue()
    start = loop.time()
    async with running(Controller("jobs", queue, reconcile)):
        queue.add("a")
        await asyncio.sleep(1000)
    assert calls == [0, 60, 120]
    assert queue.num_requeues("a") == 0


async def test_an_error_is_logged_and_retried_with_growing_delay() -> None:
    """An exception, expected or not, never ends a worker; it is an event with fields."""
    attempts: list[str] = []

    async def reconcile(key: str) -> None:
        attempts.append(key)
        if len(attempts) <= 3:
            raise KeyError("boom")

    queue: RateLimitedQueue[str] = RateLimitedQueue()
    with structlog.testing.capture_logs() as logs:
        async with running(Controller("jobs", queue, reconcile, workers=1)):
            queue.add("ns/a")
            await asyncio.sleep(1)
    assert attempts == ["ns/a"] * 4
    failures = [entry for entry in logs if entry["event"] == "reconcile_failed"]
    assert [entry["failures"] for entry in failures] == [1, 2, 3]
    assert [entry["retry_after_seconds"] for entry in failures] == [0.005, 0.01, 0.02]
    assert failures[0]["key"] == "ns/a"
    assert failures[0]["controller"] == "jobs"
    assert "boom" in failures[0]["error"]
    assert queue.num_requeues("ns/a") == 0


async def test_a_cancellation_from_inside_is_an_error_like_any_other() -> None:
    """When something that `reconcile` awaits is cancelled, the worker lives on."""
    calls = 0

    async def reconcile(key: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise asyncio.CancelledError

    queue: RateLimitedQueue[str] = RateLimitedQueue()
    async with running(Controller("jobs", queue, reconcile, workers=1)):
        queue.add("a")
        await asyncio.sleep(1)
    assert calls == 2


async def test_workers_run_side_by_side() -> None:
    """Different keys are reconciled at the same time, one key never."""
    active: set[str] = set()
    most = 0

    async def reconcile(key: str) -> None:
        nonlocal most
        assert key not in active
        active.add(key)
        most = max(most, len(active))
        await asyncio.sleep(1)
        active.discard(key)

    queue: RateLimitedQueue[str] = RateLimitedQueue()
    async with running(Controller("jobs", queue, reconcile, workers=3)):
        for _ in range(5):
            for key in "abcdef":
                queue.add(key)
            await asyncio.sleep(0.7)
        await asyncio.sleep(20)
    assert most == 3


async def test_stop_drains() -> None:
    """`stop` finishes what was added, then `run` returns."""
    finished: list[str] = []

    async def reconcile(key: str) -> None:
        await asyncio.sleep(5)
        finished.append(key)

    queue: RateLimitedQueue[str] = RateLimitedQueue()
    controller = Controller("jobs", queue, reconcile, workers=2)
    async with running(controller) as task:
        for key in "abc":
            queue.add(key)
        await asyncio.sleep(1)
        assert await controller.stop(60)
        await task
    assert sorted(finished) == ["a", "b", "c"]


async def test_stop_cancels_what_is_left_at_the_deadline() -> None:
    """A reconcile that hangs does not hold the process; the log says what was left."""
    cleaned: list[str] = []

    async def reconcile(key: str) -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            cleaned.append(key)

    queue: RateLimitedQueue[str] = RateLimitedQueue()
    controller = Controller("jobs", queue, reconcile, workers=1)
    loop = asyncio.get_running_loop()
    start = loop.time()
    with structlog.testing.capture_logs() as logs:
        async with running(controller) as task:
            queue.add("a")
            queue.add("b")
            await asyncio.sleep(1)
            assert not await controller.stop(30)
            await task
    assert loop.time() - start == 31
    assert cleaned == ["a"]
    [event] = [entry for entry in logs if entry["event"] == "drain_timed_out"]
    assert (event["waiting"], event["working"]) == (1, 1)


async def test_cancelling_run_cancels_the_workers() -> None:
    """Without `stop` there is no drain."""
    cancelled = False

    async def reconcile(key: str) -> None:
        nonlocal cancelled
        try:
            await asyncio.sleep(1e6)
        except asyncio.CancelledError:
            cancelled = True
            raise

    queue: RateLimitedQueue[str] = RateLimitedQueue()
    async with running(Controller("jobs", queue, reconcile)):
        queue.add("a")
        await asyncio.sleep(1)
    assert cancelled
    assert queue.shutting_down
    assert queue.processing == set()


def test_no_workers_is_a_mistake() -> None:
    """The error names the value."""

    async def reconcile(key: str) -> None: ...

    with pytest.raises(ValueError, match="workers is 0"):
        Controller("jobs", RateLimitedQueue[str](), reconcile, workers=0)
