"""What the locks promise holds through several apiservers of one cluster, which share an etcd and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubemr.locks import HttpTransport, Lock, LockStatus, Server, acquire, release, run, try_acquire
from support.controlplane import ApiServer, ControlPlane
from support.gadgets import define_gadgets


@pytest.fixture
def transports(control_plane: ControlPlane, tmp_path: Path) -> Iterator[list[HttpTransport]]:
    """One transport for each of two apiservers."""
    second = ApiServer(tmp_path / "second", control_plane.etcd, control_plane.certificates)
    servers = [Server(one.url, token=one.token, ca_file=one.ca_file) for one in (control_plane.apiserver, second)]
    transports = [HttpTransport(server) for server in servers]
    yield transports
    for transport in transports:
        transport.close()
    second.stop()


def test_one_holder_through_two_apiservers(transports: list[HttpTransport]) -> None:
    """Never two at a time, fences strictly increase, and what one server wrote the other shows at once."""
    gadgets = define_gadgets(transports[0])
    define_gadgets(transports[1])
    target = gadgets.create()
    for turn in range(20):
        winner, loser = transports[turn % 2], transports[1 - turn % 2]
        held = run(try_acquire(Lock(target, "/lockholder", f"w{turn}")), winner).acquisition
        assert held is not None
        assert run(try_acquire(Lock(target, "/lockholder", "other")), loser).status is LockStatus.LOST
        assert run(release(held), loser).won

    fences: list[int] = []
    inside: list[int] = []
    failures: list[BaseException] = []
    start = threading.Barrier(8)

    def contend(number: int) -> None:
        transport = transports[number % 2]
        try:
            start.wait()
            for _ in range(3):
                held = run(acquire(Lock(target, "/lockholder", f"t{number}", 60)), transport).acquisition
                assert held is not None
                inside.append(number)
                assert inside == [number]
                fences.append(held.fence)
                inside.remove(number)
                assert run(release(held), transport).won
        except BaseException as problem:
            failures.append(problem)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert fences == list(range(21, 21 + 24))
