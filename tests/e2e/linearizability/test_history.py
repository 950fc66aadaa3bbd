"""What the contenders write down is what they can know: an answer that was missed leaves it open what landed."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from kubemr.local.apiserver.http import HttpServer, new_server
from kubemr.locks import HttpTransport, Server
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Answer, Request
from kubemr.locks.lock import Acquisition, Lock, LockStatus, release, try_acquire
from kubemr.locks.threads import run
from support.linearizability.contender import CONFIG_MAPS, Scattered
from support.linearizability.history import Recorder
from support.lossyproxy import LossyProxy, lossy_proxy


class Overtaken(Scattered):
    """Between a patch and the next request somebody else takes the lock, if it is free by then."""

    def __init__(self, server: Server, meanwhile: HttpTransport, lock: Lock) -> None:
        super().__init__([server], random.Random(0), mistake=False)
        self._meanwhile, self._lock, self._patched = meanwhile, lock, False

    def send(self, request: Request) -> Answer:
        """One exchange."""
        if self._patched:
            run(try_acquire(self._lock), self._meanwhile)
        self._patched = request.verb == "patch"
        return super().send(request)


@pytest.fixture
def server() -> Iterator[Server]:
    """Local mode's own apiserver, on a real socket."""
    embedded = HttpServer(new_server([], {}), "token")
    embedded.start()
    yield Server(embedded.url, token="token")
    embedded.stop()


@pytest.fixture
def proxy(server: Server) -> Iterator[LossyProxy]:
    """Loses an answer when told to."""
    with lossy_proxy(server.url) as proxy:
        yield proxy


@pytest.fixture
def transport(server: Server) -> Iterator[HttpTransport]:
    """Straight to the server."""
    with HttpTransport(server) as transport:
        yield transport


def hold(transport: HttpTransport) -> Acquisition:
    """An object, and its lock held by `me`."""
    target = Target(CONFIG_MAPS, "default", "lock-1")
    body = {"metadata": {"name": target.name}}
    assert transport.send(Request("create", CONFIG_MAPS, "default", body=body)).status == 201
    held = run(try_acquire(Lock(target, "/data/lock", "me")), transport).acquisition
    assert held is not None
    return held


def written(held: Acquisition, scattered: Scattered) -> list[dict[str, Any]]:
    """What is written down of a release that finds the lock in other hands."""
    sink = io.StringIO()
    recorder = Recorder(0, sink)
    recorder.call()
    result = run(release(held), scattered)
    assert result.status is LockStatus.LOST
    recorder.released("lock-1", held, result, missed=scattered.missed)
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def test_a_release_whose_answer_was_missed_may_have_landed(
    server: Server, proxy: LossyProxy, transport: HttpTransport
) -> None:
    """It did here, and the lock had its next holder before anybody looked."""
    held = hold(transport)
    other = Lock(held.lock.target, held.lock.path, "other")
    scattered = Overtaken(Server(f"http://127.0.0.1:{proxy.port}", token="token"), transport, other)
    proxy.lose_next_answer()
    look, given_back = written(held, scattered)
    scattered.close()
    assert proxy.lost == 1
    assert (given_back["kind"], given_back["outcome"]) == ("release", "either")
    assert (look["kind"], look["holder"], look["fence"]) == ("read", "other", held.fence + 1)


def test_a_release_that_was_answered_did_not_land(server: Server, transport: HttpTransport) -> None:
    """Every answer arrived, and said that the lock is not held."""
    held = hold(transport)
    assert run(release(held), transport).won
    assert run(try_acquire(Lock(held.lock.target, held.lock.path, "other")), transport).won
    scattered = Scattered([server], random.Random(0), mistake=False)
    look, given_back = written(held, scattered)
    scattered.close()
    assert given_back["outcome"] == "lost"
    assert look["holder"] == "other"
