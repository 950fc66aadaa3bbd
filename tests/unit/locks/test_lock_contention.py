"""Many threads want one lock, over real connections."""

from __future__ import annotations

import threading

from kubemr.locks import HttpTransport, Lock, Server, acquire, hold, release, run
from support.gadgets import Gadgets

THREADS = 12
TURNS = 3


def test_one_at_a_time_and_fences_strictly_increase(gadgets: Gadgets, server: Server) -> None:
    """Never two holders; everybody gets every turn; each acquisition's fence is greater than all before it."""
    target = gadgets.create()
    inside = 0
    most = 0
    fences: list[int] = []
    failures: list[BaseException] = []
    counting = threading.Lock()
    start = threading.Barrier(THREADS)

    def contend(number: int) -> None:
        nonlocal inside, most
        lock = Lock(target, "/lockholder", f"w{number}", 60)
        try:
            start.wait()
            for _ in range(TURNS):
                mine = run(acquire(lock), transport).acquisition
                assert mine is not None
                with counting:
                    inside += 1
                    most = max(most, inside)
                    fences.append(mine.fence)
                with counting:
                    inside -= 1
                assert run(release(mine), transport).won
        except BaseException as problem:
            failures.append(problem)

    with HttpTransport(server) as transport:
        threads = [threading.Thread(target=contend, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures
    assert most == 1
    assert fences == list(range(1, THREADS * TURNS + 1))


def test_threads_that_share_an_identity_are_told_apart(gadgets: Gadgets, server: Server) -> None:
    """A mistake that must not make two holders: they take it from one another, and each taking is one thread's."""
    target = gadgets.create()
    lock = Lock(target, "/lockholder", "same", 60)
    start = threading.Barrier(8)
    fences: list[int] = []

    def take() -> None:
        start.wait()
        result = run(acquire(lock), transport)
        assert result.acquisition is not None
        fences.append(result.acquisition.fence)

    with HttpTransport(server) as transport:
        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(fences) == list(range(1, 9))


def test_a_with_block_waits_for_the_other(gadgets: Gadgets, server: Server) -> None:
    """The second block begins when the first has ended: its watch shows the release."""
    target = gadgets.create()
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with hold(Lock(target, "/lockholder", "second", 60), transport):
            order.append("second")

    with HttpTransport(server) as transport:
        thread = threading.Thread(target=second)
        with hold(Lock(target, "/lockholder", "first", 60), transport):
            thread.start()
            waiting.wait()
            order.append("first")
        thread.join()
    assert order == ["first", "second"]
