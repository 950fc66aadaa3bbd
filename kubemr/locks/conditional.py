"""Apply one conditional patch and find out, for certain, whether it landed.

An apiserver's answer to a patch is not always the whole story:

- a timeout, a broken connection or a 5xx says nothing: the write may have landed, or may land later;
- a 422 says that some `test` failed, but not which, and a proxy in between may have sent the patch
  twice, the second attempt failing on what the first had written;
- a 422 may also be a refusal (schema, admission policy), which no repetition will change.

So the outcome is taken from the object.  What a patch writes must be recognisable as one's own (a
holder token that nobody else writes) and what it tests must never come back once changed (epochs,
fences: no ABA).  Then one consistent read after a doubtful answer decides:

- one's own mark is there → **won**;
- a tested value differs → **lost**, for good, also if the patch is still under way: it cannot pass any more;
- neither → the identical patch is sent again, until the answer is definite.

A patch that was certainly not carried out (429, or no connection) is sent again without a read: it tells as much, and a
busy apiserver is asked for one thing instead of two.

Lost says that the patch lands no more.  It does not say that it never has: after a doubtful answer it may have landed,
and others, who saw what it wrote, may have gone on from there before its mark was looked for.  Where that makes a
difference, the mark is one that nobody else writes over: a commit, or the claim of a holder that lives.

If every tested value is as tested and the answer is 422 all the same, twice, then it was not a race
but a refusal.
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
    """It landed: the object carries what it wrote (or did, when it was last seen)."""
    LOST = "lost"
    """A condition does not hold (any more).

    If every answer was definite, nothing was written; after a doubtful one the patch may have landed, and others have
    written over its mark since."""
    GONE = "gone"
    """The object does not exist (404)."""
    REFUSED = "refused"
    """The server will not take it, whatever the state: schema, policy, rights, size.  An error."""


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
        """A consistent read of the whole object (never of the subresource, which may not serve it)."""
        return Request("get", self.resource, self.namespace, self.name)

    def patch(self, patch: Patch) -> Request:
        """The request that sends `patch`."""
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
    """The verdict, and the object as it was seen last (None when it is gone or was not read).

    `answer` is the server's last word, for the message of an error.
    """

    status: PatchStatus
    object: Json
    answer: Answer

    @property
    def won(self) -> bool:
        """The patch landed."""
        return self.status is PatchStatus.WON


class RequestRefusedError(LocksError):
    """The server refused a request for a reason that repeating it will not change."""

    def __init__(self, what: str, answer: Answer) -> None:
        super().__init__(f"{what}: the apiserver refused it with {answer.status} {answer.reason}: {answer.message}")
        self.answer = answer


def apply(target: Target, patch: Patch, mine: Callable[[Json], bool]) -> Op[PatchResult]:
    """Send `patch` until its fate is known; `mine(object)` tells whether it shows in an object.

    `mine` must be true of an object only if this very patch has landed on it.
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
        if mine(seen):
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
    """A consistent read: the object, or None when it does not exist.  Waits out what is transient.

    Raises `RequestRefusedError` when the server denies the read.
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
    """True of an answer that names a cause other than a failed `test`.

    A failed `test` (and a path that leads nowhere) is a 422 without any detail; the schema and admission
    policies answer 422 too, but say what is wrong.
    """
    if answer.status == 422:
        details = answer.body.get("details") if isinstance(answer.body, dict) else None
        return bool(details)
    return answer.definite and answer.status not in (0, 409, 429)
