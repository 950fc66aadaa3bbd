"""Consistent, complete lists: page by page, at one resourceVersion, or not at all."""

from __future__ import annotations

from typing import Final

from attr import frozen

from kubemr.locks.backoff import Backoff
from kubemr.locks.conditional import Refused
from kubemr.locks.request import Answer, Json, Op, Random, Request, Resource, Sleep

PAGE: Final = 500
"""Objects a page: as client-go's pager."""


@frozen
class Listed:
    """What a list found; `resource_version` is where a watch may begin."""

    items: list[Json]
    resource_version: str


def list_all(resource: Resource, namespace: str | None, label_selector: str, *, limit: int | None = None) -> Op[Listed]:
    """A consistent list (no resourceVersion is given): a quorum read, all pages of one snapshot.

    With `limit` only that many objects are wanted: one page, no more.  Waits out what is transient, and
    starts over when the snapshot has expired between two pages (410).  Raises `Refused`.
    """
    backoff = Backoff()
    items: list[Json] = []
    token = ""
    while True:
        query = {"labelSelector": label_selector, "limit": str(limit or PAGE)}
        if token:
            query["continue"] = token
        answer: Answer = yield Request("list", resource, namespace, query=query)
        if answer.ok:
            items += answer.body.get("items") or []
            metadata = answer.body.get("metadata") or {}
            token = metadata.get("continue") or ""
            if not token or limit is not None:
                return Listed(items, metadata.get("resourceVersion") or "")
            backoff.reset()
            continue
        if answer.status == 410 and token:
            items, token = [], ""
        elif answer.definite and answer.status not in (0, 429):
            raise Refused(f"listing {resource.plural} of {label_selector}", answer)
        yield Sleep(backoff.next((yield Random()), answer.retry_after))
