"""Create a child once, even if several operators try at the same time.

A 409 is a success if the existing object belongs to the job.
"""

from __future__ import annotations

from kubemr.coordination.job_view import JobView
from kubemr.locks.backoff import Backoff
from kubemr.locks.conditional import FIELD_MANAGER, RequestRefusedError
from kubemr.locks.effects import Answer, Json, Op, Random, Request, Resource, Sleep


class NameConflictError(Exception):
    """An object with the child's name belongs to another owner, or is still being deleted: try again later."""


def ensure(job: JobView, resource: Resource, body: Json) -> Op[Json]:
    """Create `body` unless it exists, and return the object.  Raises `NameConflictError` or `RequestRefusedError`.

    Names contain a hash of the job's uid and run, so an object with this name that the job owns is the right one.
    """
    name = body["metadata"]["name"]
    backoff = Backoff()
    while True:
        query = {"fieldManager": FIELD_MANAGER}
        answer: Answer = yield Request("create", resource, job.namespace, query=query, body=body)
        if answer.ok:
            return answer.body
        if answer.status == 409:
            there: Answer = yield Request("get", resource, job.namespace, name)
            if there.ok:
                check_ours(job, resource, there.body)
                return there.body
            if there.status == 404:
                continue
            answer = there
        if answer.definite and answer.status != 429:
            raise RequestRefusedError(f"creating {resource.plural} {job.namespace}/{name}", answer)
        yield Sleep(backoff.next((yield Random()), answer.retry_after))


def check_ours(job: JobView, resource: Resource, there: Json) -> None:
    """Raise `NameConflictError` unless the job owns `there` and `there` is not being deleted."""
    metadata = there["metadata"]
    owners = {reference.get("uid") for reference in metadata.get("ownerReferences") or []}
    what = f"{resource.plural} {metadata['namespace']}/{metadata['name']}"
    if job.uid not in owners:
        raise NameConflictError(
            f"{what} exists and does not belong to {job.target} (uid {job.uid}); remove or rename it"
        )
    if metadata.get("deletionTimestamp"):
        raise NameConflictError(f"{what} is still being deleted")
