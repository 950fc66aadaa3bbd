"""The outcome of one conditional patch, for every sequence of answers that a server can give."""

from __future__ import annotations

import pytest
from attr import evolve

from kubemr.locks import (
    Answer,
    HttpTransport,
    Patch,
    PatchStatus,
    Request,
    RequestRefusedError,
    Resource,
    Target,
    apply,
    read,
    run,
)
from kubemr.locks.effects import UNKNOWN, Json
from support.gadgets import Gadgets
from support.locktime import Scripted, VirtualTime

TARGET = Target(Resource("example.com", "v1", "gadgets"), "default", "g")
PATCH = Patch().swap("/lock", "old", "mine")

FAILED_TEST = Answer(422, {"kind": "Status", "reason": "Invalid", "message": "the server rejected", "details": {}})
SCHEMA = Answer(422, {"kind": "Status", "reason": "Invalid", "details": {"causes": [{"field": "lock"}]}})
SILENCE = Answer(UNKNOWN, error="timed out")
NOT_SENT = Answer(UNKNOWN, error="refused", sent=False)
TIMEOUT = Answer(504)
CONFLICT = Answer(409)
BUSY = Answer(429, retry_after=7)
DENIED = Answer(403, {"kind": "Status", "reason": "Forbidden", "message": "no"})
NOT_FOUND = Answer(404)
UNCHANGED = Answer(200, {"lock": "old"})
MINE = Answer(200, {"lock": "mine"})
OTHERS = Answer(200, {"lock": "other"})


def mine(document: Json) -> bool:
    """No other process writes this value."""
    return bool(document["lock"] == "mine")


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([MINE], PatchStatus.WON),
        ([NOT_FOUND], PatchStatus.GONE),
        ([DENIED], PatchStatus.REFUSED),
        ([SCHEMA], PatchStatus.REFUSED),
        # A 422 without details, then a read: its own value (a proxy sent the patch twice), another one, none twice.
        ([FAILED_TEST, MINE], PatchStatus.WON),
        ([FAILED_TEST, OTHERS], PatchStatus.LOST),
        ([FAILED_TEST, UNCHANGED, FAILED_TEST, UNCHANGED], PatchStatus.REFUSED),
        ([FAILED_TEST, UNCHANGED, MINE], PatchStatus.WON),
        ([FAILED_TEST, NOT_FOUND], PatchStatus.GONE),
        # No answer, or one that says nothing: look, and repeat until it is definite.
        ([SILENCE, MINE], PatchStatus.WON),
        ([SILENCE, OTHERS], PatchStatus.LOST),
        ([SILENCE, UNCHANGED, MINE], PatchStatus.WON),
        ([TIMEOUT, UNCHANGED, FAILED_TEST, MINE], PatchStatus.WON),
        ([SILENCE, SILENCE, TIMEOUT, NOT_SENT, BUSY, UNCHANGED, SILENCE, OTHERS], PatchStatus.LOST),
        ([CONFLICT, UNCHANGED, MINE], PatchStatus.WON),
        # Certainly not carried out: the patch itself tells as much as a read would.
        ([BUSY, MINE], PatchStatus.WON),
        ([NOT_SENT, MINE], PatchStatus.WON),
        ([BUSY, FAILED_TEST, OTHERS], PatchStatus.LOST),
        ([SILENCE, UNCHANGED, BUSY, FAILED_TEST, MINE], PatchStatus.WON),
        ([SILENCE, UNCHANGED, NOT_SENT, DENIED, MINE], PatchStatus.WON),
        # Refused, but an earlier attempt may have landed: look first.
        ([SILENCE, UNCHANGED, DENIED, MINE], PatchStatus.WON),
        ([SILENCE, UNCHANGED, DENIED, UNCHANGED], PatchStatus.REFUSED),
        ([SILENCE, UNCHANGED, SCHEMA, OTHERS], PatchStatus.LOST),
    ],
)
def test_every_sequence_has_one_status(time: VirtualTime, answers: list[Answer], status: PatchStatus) -> None:
    """And all answers are needed for it."""
    script = Scripted(answers)
    outcome = time.run(apply(TARGET, PATCH, mine), script)
    assert outcome.status is status
    assert outcome.won is (status is PatchStatus.WON)
    assert script.answers == []


def test_what_is_repeated_is_identical(time: VirtualTime) -> None:
    """The same patch to the same object, with the shared field manager."""
    script = Scripted([SILENCE, UNCHANGED, MINE])
    time.run(apply(TARGET, PATCH, mine), script)
    first, reading, second = script.seen
    assert first == second == TARGET.patch(PATCH)
    assert isinstance(first, Request)
    assert first.query == {"fieldManager": "kubemr"}
    assert reading == TARGET.get()


def test_the_field_manager_can_be_chosen() -> None:
    """For programs other than kubemr; it is no part of the object's name."""
    target = Target(TARGET.resource, TARGET.namespace, TARGET.name, field_manager="press")
    assert target.patch(PATCH) == evolve(TARGET.patch(PATCH), query={"fieldManager": "press"})
    assert str(target) == str(TARGET)


def test_a_busy_server_is_given_the_time_it_asks_for(time: VirtualTime) -> None:
    """Retry-After, and a jittered wait on top."""
    time.run(apply(TARGET, PATCH, mine), Scripted([BUSY, MINE]))
    assert time.slept[0] > 7


def test_a_server_that_is_away_is_not_asked_in_a_hot_loop(time: VirtualTime) -> None:
    """Waits grow up to some seconds."""
    time.run(apply(TARGET, PATCH, mine), Scripted([NOT_SENT] * 20 + [MINE]))
    assert len(time.slept) >= 19
    assert time.slept[-1] > time.slept[0]
    assert max(time.slept) <= 5


def test_a_denied_read_is_an_error(time: VirtualTime) -> None:
    """Nothing is known then, and nothing is assumed."""
    with pytest.raises(
        RequestRefusedError, match=r"reading gadgets default/g: the apiserver refused it with 403 Forbidden: no"
    ):
        time.run(read(TARGET), Scripted([DENIED]))


def test_a_target_names_itself() -> None:
    """With its namespace, where it has one."""
    assert str(TARGET) == "gadgets default/g"
    assert str(Target(Resource("", "v1", "nodes", namespaced=False), None, "n1")) == "nodes n1"


def test_the_real_server_says_what_the_table_says(gadgets: Gadgets, transport: HttpTransport) -> None:
    """Won, lost, refused by the schema, refused for a path that leads nowhere, gone."""
    target = gadgets.create(lockholder="old")
    path = "/lockholder"

    def attempt(patch: Patch) -> PatchStatus:
        return run(apply(target, patch, lambda document: document.get("lockholder") == "mine"), transport).status

    assert attempt(Patch().swap(path, "other", "mine")) is PatchStatus.LOST
    assert attempt(Patch().swap(path, "old", "x" * 500)) is PatchStatus.REFUSED
    assert attempt(Patch().test(path, "old").add("/no/such/parent", 1)) is PatchStatus.REFUSED
    assert attempt(Patch().swap(path, "old", "mine")) is PatchStatus.WON
    gadgets.delete(target)
    assert attempt(Patch().swap(path, "mine", "old")) is PatchStatus.GONE
    assert run(read(target), transport) is None
