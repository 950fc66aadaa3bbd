"""The watchdog of the loop: without a step for a long time, the worker must not look healthy."""

from __future__ import annotations

import pytest

from kubemr.locks.effects import Do, Now, Op, Sleep
from kubemr.worker.watchdog import STUCK_SECONDS, Watchdog
from support.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """Only its clock."""
    return Bench()


def test_every_effect_is_progress(bench: Bench) -> None:
    """The watchdog is alive while the loop makes progress, and dead if one effect lasts too long."""
    watchdog = Watchdog(lambda: bench.now)
    seen: list[bool] = []

    def loop() -> Op[str]:
        for seconds in (STUCK_SECONDS - 1, STUCK_SECONDS - 1, STUCK_SECONDS):
            yield Sleep(seconds)
            seen.append(watchdog.alive())
        yield Now()
        seen.append(watchdog.alive())
        return "over"

    assert bench.run(watchdog.watch(loop())) == "over"
    assert seen == [True, True, False, True]


def test_errors_reach_the_loop_and_leave_it(bench: Bench) -> None:
    """The watchdog does not change them."""
    watchdog = Watchdog(lambda: bench.now)

    def fail() -> None:
        raise OSError("disk")

    def loop() -> Op[str]:
        try:
            yield Do(fail)
        except OSError as error:
            yield Sleep(1.0)
            raise ValueError("because of the disk") from error
        return "never"

    with pytest.raises(ValueError, match="because of the disk"):
        bench.run(watchdog.watch(loop()))
    assert bench.slept == [1.0]


def test_it_is_closed_with_the_loop(bench: Bench) -> None:
    """A crash of the driver closes both."""
    closed: list[bool] = []

    def loop() -> Op[None]:
        try:
            while True:
                yield Now()
        finally:
            closed.append(True)

    watched = Watchdog(lambda: bench.now).watch(loop())
    next(watched)
    watched.close()
    assert closed == [True]
