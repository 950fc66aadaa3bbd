"""Acquiring, renewing and releasing a lock on a user's own custom resource."""

from __future__ import annotations

import pytest

from kubemr.locks import (
    Acquisition,
    HttpTransport,
    InvalidLockError,
    Lock,
    LockStatus,
    LockValue,
    Patch,
    RequestRefusedError,
    Target,
    acquire,
    release,
    renew,
    run,
    try_acquire,
    write,
)
from kubemr.locks.effects import Json
from support.gadgets import GADGETS, Gadgets
from support.locktime import NoWatch, VirtualTime


def test_a_lock_that_was_never_taken_is_taken_with_the_first_fence(gadgets: Gadgets, transport: HttpTransport) -> None:
    """Nothing at the path is a free lock; the value names the holder and fence 1."""
    target = gadgets.create()
    result = run(try_acquire(Lock(target, "/lockholder", "me")), transport)
    assert result.won
    assert result.acquisition is not None
    assert result.acquisition.fence == 1
    assert gadgets.get(target)["lockholder"] == result.acquisition.value.raw
    assert gadgets.get(target)["lockholder"].startswith("me/1/")


def test_of_two_the_second_loses_and_learns_who_holds_it(gadgets: Gadgets, transport: HttpTransport) -> None:
    """A held lock is LOST, its holder named, the object left as it was."""
    target = gadgets.create()
    run(try_acquire(Lock(target, "/lockholder", "me")), transport)
    before = gadgets.get(target)
    result = run(try_acquire(Lock(target, "/lockholder", "you")), transport)
    assert result.status is LockStatus.LOST
    assert result.acquisition is None
    assert result.value is not None
    assert result.value.holder == "me"
    assert gadgets.get(target) == before


def test_the_seeds_plain_patch_and_the_library_respect_each_other(gadgets: Gadgets, transport: HttpTransport) -> None:
    """A plain string is a holder; once the library has used a lock, a test for null fails."""
    target = gadgets.create()
    plain = (
        {"op": "test", "path": "/lockholder", "value": None},
        {"op": "add", "path": "/lockholder", "value": "me"},
    )
    gadgets.patch(target, *plain)
    assert run(try_acquire(Lock(target, "/lockholder", "you")), transport).status is LockStatus.LOST
    gadgets.patch(target, {"op": "remove", "path": "/lockholder"})
    assert run(try_acquire(Lock(target, "/lockholder", "you")), transport).won
    with pytest.raises(AssertionError, match="422"):
        gadgets.patch(target, *plain)


def test_fences_rise_over_releases(gadgets: Gadgets, transport: HttpTransport) -> None:
    """A release frees the lock and keeps the fence, so the next acquisition's is greater."""
    target = gadgets.create()
    for turn in range(1, 4):
        held = run(try_acquire(Lock(target, "/lockholder", f"w{turn}")), transport).acquisition
        assert held is not None
        assert held.fence == turn
        assert run(release(held), transport).won
        assert gadgets.get(target)["lockholder"] == f"/{turn}/0"


def test_a_renewal_changes_the_beat_and_nothing_else(gadgets: Gadgets, transport: HttpTransport) -> None:
    """Others see a changed string; holder and fence stay."""
    target = gadgets.create()
    held = run(try_acquire(Lock(target, "/lockholder", "me")), transport).acquisition
    assert held is not None
    renewed = run(renew(held), transport).acquisition
    assert renewed is not None
    assert (renewed.fence, renewed.value.holder) == (held.fence, "me")
    assert renewed.value.heartbeat > held.value.heartbeat
    assert gadgets.get(target)["lockholder"] == renewed.value.raw


def test_who_renews_with_an_old_beat_finds_the_new_one(gadgets: Gadgets, transport: HttpTransport) -> None:
    """A renewal whose answer was lost is recognised by its holder and fence."""
    held = run(try_acquire(Lock(gadgets.create(), "/lockholder", "me")), transport).acquisition
    assert held is not None
    run(renew(held), transport)
    assert run(renew(held), transport).won
    assert run(release(held), transport).won


def test_renewing_or_releasing_a_lock_that_another_took_is_lost(gadgets: Gadgets, transport: HttpTransport) -> None:
    """The former holder learns it from the server, and changes nothing."""
    target = gadgets.create()
    held = run(try_acquire(Lock(target, "/lockholder", "me")), transport).acquisition
    assert held is not None
    gadgets.patch(target, {"op": "replace", "path": "/lockholder", "value": "you/2/0"})
    assert run(renew(held), transport).status is LockStatus.LOST
    assert run(release(held), transport).status is LockStatus.LOST
    assert gadgets.get(target)["lockholder"] == "you/2/0"


def test_ones_own_lock_is_taken_anew_with_a_higher_fence(gadgets: Gadgets, transport: HttpTransport) -> None:
    """Who does not know what it holds asks again; its former acquisition ends at once."""
    lock = Lock(gadgets.create(), "/lockholder", "me")
    first = run(try_acquire(lock), transport).acquisition
    second = run(try_acquire(lock), transport).acquisition
    assert first is not None
    assert second is not None
    assert second.fence == first.fence + 1
    assert run(renew(first), transport).status is LockStatus.LOST


def test_a_deleted_object_has_no_lock(gadgets: Gadgets, transport: HttpTransport) -> None:
    """GONE, whatever one tries."""
    target = gadgets.create()
    held = run(try_acquire(Lock(target, "/lockholder", "me")), transport).acquisition
    assert held is not None
    gadgets.delete(target)
    assert run(renew(held), transport).status is LockStatus.GONE
    assert run(release(held), transport).status is LockStatus.GONE
    assert run(acquire(held.lock), transport).status is LockStatus.GONE


def test_the_lock_of_an_object_made_again_is_another_one(gadgets: Gadgets, transport: HttpTransport) -> None:
    """A holder's patches name the uid, so they never touch the successor of the object."""
    target = gadgets.create()
    held = run(try_acquire(Lock(target, "/lockholder", "me")), transport).acquisition
    assert held is not None
    gadgets.delete(target)
    document = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": target.name}}
    again = transport.send(target.get().__class__("create", target.resource, target.namespace, body=document))
    assert again.status == 201
    gadgets.patch(target, {"op": "add", "path": "/lockholder", "value": held.value.raw})
    assert run(renew(held), transport).status is LockStatus.LOST


@pytest.mark.parametrize(
    ("path", "subresource", "fields"),
    [
        ("/status/lockholder", "status", {}),
        ("/status/deep/er/lock", "status", {}),
        ("/spec/a~1b/c~0d", None, {}),
        ("/spec/there/lock", None, {"spec": {"there": {"other": 1}}}),
        ("/spec/slots/1/lock", None, {"spec": {"slots": [{}, {"x": 1}]}}),
        ("/spec/slots/1", None, {"spec": {"slots": ["", ""]}}),
        ("/metadata/annotations/example.com~1lock", None, {}),
    ],
)
def test_any_path_can_hold_a_lock(
    gadgets: Gadgets, transport: HttpTransport, path: str, subresource: str | None, fields: dict[str, Json]
) -> None:
    """Missing parents are made, escapes and lists work, the status subresource too; neighbours are left alone."""
    target = gadgets.create(subresource=subresource, **fields)
    lock = Lock(target, path, "me")
    held = run(try_acquire(lock), transport).acquisition
    assert held is not None
    assert held.shows(gadgets.get(target))
    assert lock.value_in(gadgets.get(target)) == held.value
    renewed = run(renew(held), transport).acquisition
    assert renewed is not None
    assert run(try_acquire(Lock(target, path, "you")), transport).status is LockStatus.LOST
    assert run(release(renewed), transport).won
    again = run(try_acquire(Lock(target, path, "you")), transport).acquisition
    assert again is not None
    assert again.fence == 2
    if path.startswith("/spec/there"):
        assert gadgets.get(target)["spec"]["there"]["other"] == 1


def test_parents_made_by_another_meanwhile_are_kept(
    gadgets: Gadgets, transport: HttpTransport, time: VirtualTime
) -> None:
    """Making a missing parent is conditional too."""
    target = gadgets.create()
    meddling = NoWatch(transport, time)

    def meddle(request: object) -> None:
        if len(meddling.requests) == 2:
            gadgets.patch(target, {"op": "add", "path": "/spec", "value": {"other": 1}})

    meddling.before = meddle
    assert time.run(try_acquire(Lock(target, "/spec/lock", "me")), meddling).won
    assert gadgets.get(target)["spec"]["other"] == 1


def test_a_write_lands_only_while_the_lock_is_held(gadgets: Gadgets, transport: HttpTransport) -> None:
    """The server refuses what a former holder writes into the locked object."""
    target = gadgets.create()
    held = run(try_acquire(Lock(target, "/lockholder", "me")), transport).acquisition
    assert held is not None
    wrote = run(write(held, Patch().add("/made", 1)), transport)
    assert wrote.won
    assert wrote.acquisition is not None
    assert gadgets.get(target)["made"] == 1
    gadgets.patch(target, {"op": "replace", "path": "/lockholder", "value": "you/2/0"})
    assert run(write(wrote.acquisition, Patch().add("/made", 2)), transport).status is LockStatus.LOST
    assert gadgets.get(target)["made"] == 1


def test_a_write_whose_own_test_fails_keeps_the_lock(gadgets: Gadgets, transport: HttpTransport) -> None:
    """LOST with `held` still set: the condition was the caller's own."""
    held = run(try_acquire(Lock(gadgets.create(), "/lockholder", "me")), transport).acquisition
    assert held is not None
    result = run(write(held, Patch().test("/made", 7).add("/made", 8)), transport)
    assert result.status is LockStatus.LOST
    assert result.acquisition == held
    assert run(renew(held), transport).won


def test_what_the_server_will_never_take_is_an_error(gadgets: Gadgets, transport: HttpTransport) -> None:
    """Schema violations raise, naming the lock and the server's message."""
    target = gadgets.create()
    with pytest.raises(RequestRefusedError, match=r"lock /lockholder of gadgets .*Too long"):
        run(try_acquire(Lock(target, "/lockholder", "x" * 200)), transport)
    held = run(try_acquire(Lock(target, "/lockholder", "me")), transport).acquisition
    assert held is not None
    with pytest.raises(RequestRefusedError, match="made"):
        run(write(held, Patch().add("/made", "text")), transport)


def test_a_subresource_that_does_not_exist_is_an_error(gadgets: Gadgets, transport: HttpTransport) -> None:
    """A 404 to the patch of an object that exists is not taken for its deletion."""
    target = Target(gadgets.create().resource, gadgets.namespace, gadgets.create().name, "scale")
    with pytest.raises(RequestRefusedError, match="not its subresource 'scale'"):
        run(try_acquire(Lock(target, "/lockholder", "me")), transport)


def test_a_path_that_holds_something_else_is_an_error(gadgets: Gadgets, transport: HttpTransport) -> None:
    """Numbers and objects are not locks; the error names path, object and value."""
    target = gadgets.create(made=3)
    with pytest.raises(InvalidLockError, match=r"lock /made of gadgets .* 3 is not a lock"):
        run(try_acquire(Lock(target, "/made", "me")), transport)


@pytest.mark.parametrize(
    ("path", "identity", "duration"),
    [("lock", "me", 1), ("/", "me", 1), ("/l", "", 1), ("/l", "a/b", 1), ("/l", "me", 0)],
)
def test_nonsense_is_refused_when_the_lock_is_made(path: str, identity: str, duration: float) -> None:
    """Before any request is sent."""
    with pytest.raises(InvalidLockError):
        Lock(Target(GADGETS, "n", "x"), path, identity, duration)


@pytest.mark.parametrize(
    ("uid", "value", "shown"),
    [
        ("u", "me/1/7", True),
        ("u", "you/1/7", False),
        ("u", "me/2/7", False),
        ("u", "me/1/8", False),
        ("u", "/1/0", False),
        ("u", None, False),
        ("u2", "me/1/7", False),
    ],
)
def test_a_document_shows_one_acquisition_at_one_heartbeat(uid: str, value: str | None, shown: bool) -> None:
    """Another holder, fence or heartbeat is not it, nor is the same string on another object of that name."""
    lock = Lock(Target(GADGETS, "n", "x"), "/lockholder", "me")
    held = Acquisition(lock, LockValue.make("me", 1, 7), "u")
    assert held.shows({"metadata": {"uid": uid}, "lockholder": value}) is shown
