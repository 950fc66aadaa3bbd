"""A condition is sent in the words in which the apiserver keeps the value."""

from __future__ import annotations

import pytest

from kubemr.controller.client import Client, PlainConnection
from kubemr.locks import HttpTransport, Patch, Server, Target, aio, apply, run
from kubemr.locks.encoding import encode
from support.gadgets import Gadgets

AWKWARD = [
    "é",
    "<b>",
    "a & b",
    "\u2028 \u2029",
    'quote " and \\ backslash',
    "\x00\x1f\x7f",
    "😀",
    "tab\tline\n",
    "½ → ∞",
]


@pytest.mark.parametrize("value", AWKWARD)
def test_a_test_for_a_value_that_was_read_passes(value: str, transport: HttpTransport, gadgets: Gadgets) -> None:
    """Threads: what the server gave back can be tested for, whatever characters it has."""
    target = gadgets.create(lockholder=value)
    read = gadgets.get(target)["lockholder"]
    outcome = run(apply(target, Patch().swap("/lockholder", read, "changed"), lambda _: False), transport)
    assert outcome.won
    assert gadgets.get(target)["lockholder"] == "changed"


async def test_the_operators_client_says_it_in_the_same_words(server: Server, gadgets: Gadgets) -> None:
    """asyncio: the same, for all of them at once."""
    ca_file = str(server.ca_file) if server.ca_file else None
    async with Client(PlainConnection(server.url, server.token or "", ca_file=ca_file)) as client:
        for value in AWKWARD:
            target: Target = gadgets.create(lockholder=value)
            patch = Patch().swap("/lockholder", value, "changed")
            assert (await aio.run(apply(target, patch, lambda _: False), client)).won, value


def test_a_lone_surrogate_is_replaced() -> None:
    """Undecodable bytes of a user's program may end up in a message; they must not end the worker."""
    assert encode({"a": "\udcff"}) == b'{"a":"?"}'
