"""Delete children of a job, each under a precondition on its uid, to protect other objects of the same name."""

from __future__ import annotations

from kubemr.coordination import names
from kubemr.coordination.job_view import LARGE_SHARDS_A_PAGE, JobView
from kubemr.coordination.pagination import Pages
from kubemr.locks.backoff import Backoff
from kubemr.locks.conditional import RequestRefusedError, Target, read
from kubemr.locks.effects import Answer, Json, Op, Random, Request, Resource, Sleep
from kubemr.tasks.shard import SHARDS


def remove_all(job: JobView, resource: Resource, *, up_to: int | None = None) -> Op[None]:
    """Delete every child of this kind page by page, of all runs or of the runs up to `up_to`.

    An operator that reconciles a job which has been retried in the meantime must leave the later run alone.
    """
    pages = Pages(resource, job.namespace, names.selector(job.uid), LARGE_SHARDS_A_PAGE if resource == SHARDS else None)
    while (page := (yield from pages.next())) is not None:
        for item in page.items:
            there = not item["metadata"].get("deletionTimestamp")
            if there and (up_to is None or run_of(item) <= up_to):
                yield from remove(resource, item)


def run_of(document: Json) -> int:
    """Return the run that a child belongs to."""
    return int((document["metadata"].get("labels") or {}).get(names.LABEL_RUN) or 0)


def remove_named(job: JobView, resource: Resource, name: str) -> Op[None]:
    """Delete the child of that name if there is one: for kinds that the operator may not list."""
    document: Json = yield from read(Target(resource, job.namespace, name))
    if document is None or document["metadata"].get("deletionTimestamp"):
        return
    if any(owner.get("uid") == job.uid for owner in document["metadata"].get("ownerReferences") or []):
        yield from remove(resource, document)


def remove(
    resource: Resource, document: Json, *, grace_seconds: int | None = None, unchanged: bool = False
) -> Op[None]:
    """Delete this object, and what it owns, in the background.  It is no error if the object is gone already."""
    metadata = document["metadata"]
    body: Json = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": metadata["uid"]},
    }
    if unchanged:
        body["preconditions"]["resourceVersion"] = metadata["resourceVersion"]
    if grace_seconds is not None:
        body["gracePeriodSeconds"] = grace_seconds
    backoff = Backoff()
    while True:
        answer: Answer = yield Request("delete", resource, metadata.get("namespace"), metadata["name"], body=body)
        if answer.ok or answer.status in (404, 409):  # 409: the name belongs to another object by now.
            return
        if answer.definite and answer.status != 429:
            raise RequestRefusedError(
                f"deleting {resource.plural} {metadata.get('namespace')}/{metadata['name']}", answer
            )
        yield Sleep(backoff.next((yield Random()), answer.retry_after))
