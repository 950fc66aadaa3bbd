"""The answer is lost after the write has landed: the claimant recognises what it wrote itself."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from attr import evolve

from kubemr.locks import HttpTransport, Lock, Patch, Request, Server, release, renew, try_acquire, write
from support.gadgets import Gadgets
from support.locktime import NoWatch, VirtualTime
from support.lossyproxy import LossyProxy, lossy_proxy


@pytest.fixture
def proxy(server: Server) -> Iterator[LossyProxy]:
    """Between the claimant and the server."""
    with lossy_proxy(server.url) as proxy:
        yield proxy


@pytest.fixture
def lossy(server: Server, proxy: LossyProxy, time: VirtualTime) -> Iterator[NoWatch]:
    """A transport that loses the answer to every first patch of an operation (the test sets `proxy.lost` to 0)."""
    scheme = urlsplit(server.url).scheme
    with HttpTransport(evolve(server, url=f"{scheme}://127.0.0.1:{proxy.port}")) as transport:
        lossy = NoWatch(transport, time)

        def lose(request: Request) -> None:
            if request.verb == "patch" and not proxy.lost:
                proxy.lose_next_answer()

        lossy.before = lose
        yield lossy


def test_every_operation_finds_its_own_write(
    gadgets: Gadgets, lossy: NoWatch, proxy: LossyProxy, time: VirtualTime
) -> None:
    """Acquire, renew, write and release are WON though no patch was ever answered, and none was sent twice."""
    target = gadgets.create()
    gadgets.get(target)
    held = time.run(try_acquire(Lock(target, "/lockholder", "me")), lossy).acquisition
    assert held is not None
    assert held.fence == 1
    assert proxy.lost == 1
    for operation in (renew, lambda held: write(held, Patch().add("/made", 1)), release):
        proxy.lost = 0
        result = time.run(operation(held), lossy)
        assert result.won
        assert proxy.lost == 1
        held = result.acquisition or held
    assert [request.verb for request in lossy.requests].count("patch") == 4
    shown = gadgets.get(target)
    assert (shown["lockholder"], shown["made"]) == ("/1/0", 1)
