"""Apply one conditional patch and find out with certainty whether the apiserver carried it out.

The answer to a patch is not always definite:

- after a timeout, a broken connection or a 5xx, the patch may have been carried out, or may be later;
- a 422 says that some `test` failed, but not which;
- a proxy may have sent the patch twice, so that the second `test` fails on what the first patch wrote;
- a 422 may also be a refusal (schema, admission policy), which no repetition changes.

So the outcome is read from the object.
What a patch writes must be recognisable as the caller's own, such as a token that no other process writes.
What a patch tests must never return to its old value once it has changed (epochs, fences: no ABA).
Then one consistent read after a doubtful answer decides:

- the caller's own value is there → **won**;
- a tested value differs → **lost**, permanently: the patch can no longer pass, even if it is still on its way;
- neither → the identical patch is sent again, until the answer is definite.

A patch that was certainly not carried out (429, or no connection) is sent again without a read.
The next answer says as much as a read would, and a busy apiserver receives one request instead of two.

Lost means that the patch will not be carried out any more.
It does not mean that it never was: after a doubtful answer it may have been carried out.
Another process may then have replaced the caller's value before the caller read the object.
If the difference matters, use a value that no other process replaces: a commit, or the claim of a live holder.

If every tested value is as tested and the answer is nevertheless 422 twice, the cause is not a race but a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from attr import field, frozen

from kubemr.locks.backoff import Backoff
from kubemr.locks.effects import JSON_PATCH, Answer, Json, Op, Random, Request, Resource, Sleep
from kubemr.locks.errors import LocksError
from kubemr.locks.patch import Patch

FIELD_MANAGER: Final = "kubemr"
"""`Target.field_manager` unless given."""


class PatchStatus(Enum):
    """How a conditional patch ended."""

    WON = "won"
    """The patch was carried out: the object has its values, or had them when it was last read."""
    LOST = "lost"
    """A condition does not hold, or no longer holds.

    If every answer was definite, nothing was written.
    After a doubtful answer, the patch may have been carried out, and another process may have replaced its values."""
    GONE = "gone"
    """The object does not exist (404)."""
    REFUSED = "refused"
    """The apiserver rejects the patch in any state of the object (schema, policy, rights, size): an error."""


@frozen
class Target:
    """The object, and the subresource if there is one, that a patch changes.

    `field_manager` names the author of the patches in the object's `managedFields`.
    Let all processes of a program share it: with one per process, that list grows with the number of processes.
    """

    resource: Resource
    namespace: str | None
    name: str
    subresource: str | None = None
    field_manager: str = field(default=FIELD_MANAGER, kw_only=True)

    def get(self) -> Request:
        """Return the request for a consistent read of the whole object.

        It never reads the subresource, which may not return the whole object.
        """
        return Request("get", self.resource, self.namespace, self.name)

    def patch(self, patch: Patch) -> Request:
        """Return the request that sends `patch`."""
        return Request(
            "patch",
            self.resource,
            self.namespace,
            self.name,
            self.subresource,
            query={"fieldManager": self.field_manager},
            body=patch.body,
            content_type=JSON_PATCH,
        )

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.resource.plural} {where}"


@frozen
class PatchResult:
    """How the patch ended, and the object as it was last read (None if it does not exist or was not read).

    `answer` is the apiserver's last answer, for the message of an error.
    """

    status: PatchStatus
    object: Json
    answer: Answer

    @property
    def won(self) -> bool:
        """True if the patch was carried out."""
        return self.status is PatchStatus.WON


class RequestRefusedError(LocksError):
    """The apiserver refused a request for a reason that repeating it does not change."""

    def __init__(self, what: str, answer: Answer) -> None:
        super().__init__(f"{what}: the apiserver refused it with {answer.status} {answer.reason}: {answer.message}")
        self.answer = answer


def apply(target: Target, patch: Patch, is_ours: Callable[[Json], bool]) -> Op[PatchResult]:
    """Send `patch` until its outcome is known.

    `is_ours(object)` decides whether an object shows the patch.
    It must return True only if this very patch was carried out on the object.
    """
    backoff = Backoff()
    doubted = False
    refused_while_holding = False
    while True:
        answer: Answer = yield target.patch(patch)
        if answer.ok:
            return PatchResult(PatchStatus.WON, answer.body, answer)
        if answer.status == 404:
            return PatchResult(PatchStatus.GONE, None, answer)
        if is_refusal(answer) and not doubted:
            return PatchResult(PatchStatus.REFUSED, None, answer)
        if answer.status in (409, 429) or not (answer.definite and answer.sent):
            yield Sleep(backoff.next((yield Random()), answer.retry_after))
        if answer.status == 429 or not answer.sent:
            continue
        doubted = doubted or not answer.definite
        seen = yield from read(target)
        if seen is None:
            return PatchResult(PatchStatus.GONE, None, answer)
        if is_ours(seen):
            return PatchResult(PatchStatus.WON, seen, answer)
        if not patch.holds(seen):
            return PatchResult(PatchStatus.LOST, seen, answer)
        if is_refusal(answer):
            return PatchResult(PatchStatus.REFUSED, seen, answer)
        if answer.status == 422:
            if refused_while_holding:
                return PatchResult(PatchStatus.REFUSED, seen, answer)
            refused_while_holding = True


def read(target: Target) -> Op[Json]:
    """Read the object consistently; return None if it does not exist.

    Repeat requests that fail temporarily.
    Raise `RequestRefusedError` if the apiserver denies the read.
    """
    backoff = Backoff()
    while True:
        answer: Answer = yield target.get()
        if answer.ok:
            return answer.body
        if answer.status == 404:
            return None
        if answer.definite and answer.status not in (0, 429):
            raise RequestRefusedError(f"reading {target}", answer)
        yield Sleep(backoff.next((yield Random()), answer.retry_after))


def is_refusal(answer: Answer) -> bool:
    """Decide whether an answer names a cause other than a failed `test`.

    A failed `test`, like a path that does not exist, is a 422 without details.
    The schema and admission policies also answer 422, but with details.
    """
    if answer.status == 422:
        details = answer.body.get("details") if isinstance(answer.body, dict) else None
        return bool(details)
    return answer.definite and answer.status not in (0, 409, 429)
