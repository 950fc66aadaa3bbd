"""Keep a store equal to what the apiserver has: list, then watch from there, and repeat that after a failure.

The first list may be as old as the apiserver's cache (version "0"); later lists are not older than what was seen.
A watch requests bookmarks, so that after a quiet time the server still knows the version of the watch.
It requests an end after 5 to 10 minutes, so that watches are distributed again over the apiservers.
If the server supports streaming lists, list and watch are one request.
`failures` says which failure has which consequence.

Idle timeouts detect a connection whose peer died without closing it.
No watch outlasts its server timeout.
A server that has sent a bookmark sends one every minute, so from then on three minutes without a byte are too long.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

import structlog

from kubemr.controller.backoff import ResettingBackoff
from kubemr.controller.client.client import Client
from kubemr.controller.client.watch_errors import (
    WatchError,
    WatchGarbledError,
    WatchIdleTimeoutError,
    WatchRefusedError,
)
from kubemr.controller.client.watch_stream import WatchStream
from kubemr.controller.clock import Clock
from kubemr.controller.informer.failures import (
    Next,
    ShortWatchError,
    StreamingListUnavailableError,
    WatchStatusError,
    needs_consistent_list,
    policy_for_list,
    policy_for_watch,
)
from kubemr.controller.informer.listing import ListRefusedError, list_objects
from kubemr.controller.informer.object_keys import Object, is_older, key_of, strip_managed_fields, version_of
from kubemr.locks.effects import Request, Resource, WatchEvent

SHORTEST_SERVER_TIMEOUT = 300.0
"""Seconds.  The timeout is random between this and its double, as in client-go, so that watches do not end together."""

SERVER_TIMEOUT_GRACE = 30.0
"""Seconds by which a server may end a watch late, before its connection counts as dead."""

BOOKMARK_IDLE_TIMEOUT = 180.0
"""Seconds without a byte after a bookmark; the apiserver sends one every minute."""

INITIAL_IDLE_TIMEOUT = 30.0
"""Seconds without a byte inside a streaming list."""

SHORT_WATCH_SECONDS = 1.0
"""A watch that ends sooner is not opened again at once."""

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
"""The annotation of the bookmark that ends a streaming list."""

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class ReflectorStore(Protocol):
    """What a reflector fills."""

    def replace(self, objects: list[Object]) -> None:
        """Replace the content by a complete list of objects."""

    def apply(self, event: str, obj: Object) -> None:
        """Apply an event (ADDED, MODIFIED or DELETED)."""


class Reflector:
    """List and watch `resource` in `namespace`, or in all namespaces."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        namespace: str | None = None,
        *,
        store: ReflectorStore,
        clock: Clock,
        backoff: ResettingBackoff,
        label_selector: str = "",
        field_selector: str = "",
        transform: Callable[[Object], Object] = strip_managed_fields,
        streaming: bool = True,
        page_size: int = 500,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self.version = ""
        """The newest version seen; the store has all changes up to it.  Empty before the first list."""
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._store = store
        self._clock = clock
        self._backoff = backoff
        self._selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._selectors = {name: value for name, value in self._selectors.items() if value}
        self._transform = transform
        self._streaming = streaming
        self._page_size = page_size
        self._uniform = uniform
        self._next = Next.RELIST
        self._log = log.bind(resource=resource.plural, namespace=namespace)

    async def run(self) -> None:
        """List and watch until cancelled.  No failure ends it."""
        while True:
            try:
                if self._next is Next.RESUME:
                    await self._watch()
                elif self._streaming:
                    await self._stream()
                else:
                    await self._list()
            except ListRefusedError as error:
                policy = policy_for_list(error)
                at_once = policy.next is Next.CONSISTENT and self._next is not Next.CONSISTENT
                if self._next is not Next.CONSISTENT:  # a consistent list is repeated as such until it succeeds
                    self._next = policy.next
                self._report("list_failed", error, expected=policy.expected)
                if not at_once:
                    await self._clock.sleep(self._backoff.next(policy.retry_after))
            except StreamingListUnavailableError as error:
                self._streaming = False
                self._log.info("streaming_list_unavailable", reason=str(error))
            except Exception as error:  # also of the store or the transform: without a relist the event would be lost
                await self._recover(error)

    async def _recover(self, error: Exception) -> None:
        policy = policy_for_watch(error)
        if self._next is Next.RESUME:
            self._next = policy.next
        elif isinstance(error, WatchRefusedError | WatchStatusError) and needs_consistent_list(error.answer):
            self._next = Next.CONSISTENT  # a refused streaming list has nothing to resume
        known = isinstance(error, WatchError | WatchStatusError | ShortWatchError)
        self._report("watch_failed" if known else "reflector_failed", error, expected=policy.expected)
        await self._clock.sleep(self._backoff.next(policy.retry_after))

    def _report(self, event: str, error: Exception, *, expected: bool) -> None:
        if expected:
            self._log.info(event, error=str(error), version=self.version, next=self._next.name.lower())
        else:
            self._log.error(event, error=str(error), version=self.version, next=self._next.name.lower(), exc_info=error)

    async def _list(self) -> None:
        consistent = self._next is Next.CONSISTENT
        at = "" if consistent else self.version or "0"
        listed = await list_objects(
            self._client, self._resource, self._namespace, self._selectors, at, self._page_size, self._transform
        )
        if not consistent and is_older(listed.resource_version, self.version):
            self._log.warning("stale_list_ignored", version=self.version, listed=listed.resource_version)
            self._next = Next.CONSISTENT
            return
        self._replace_store(listed.items, listed.resource_version)

    def _replace_store(self, items: list[Object], version: str) -> None:
        """Replace the store's content by `items` (already transformed), as of `version`."""
        if is_older(version, self.version):
            # Even a quorum read returns it: etcd was restored from a backup, and its state counts.
            self._log.error("resource_version_went_back", version=self.version, listed=version)
        self._store.replace(items)
        self.version = version
        self._next = Next.RESUME
        self._log.debug("listed", objects=len(items), version=version)

    async def _watch(self) -> None:
        started = self._clock.now()
        request, idle_timeout = self._watch_request({"resourceVersion": self.version})
        async with self._client.watch(request, idle_timeout=idle_timeout) as stream:
            await self._apply_events(stream)
        if self._clock.now() - started < SHORT_WATCH_SECONDS:
            raise ShortWatchError(f"the server ended the watch within {SHORT_WATCH_SECONDS:g} s")

    async def _stream(self) -> None:
        """Read a streaming list, then the events of the watch that the same request continues as."""
        at = "" if self._next is Next.CONSISTENT else self.version
        started = self._clock.now()
        request, idle_timeout = self._watch_request(
            {"resourceVersion": at, "resourceVersionMatch": "NotOlderThan", "sendInitialEvents": "true"}
        )
        try:
            async with self._client.watch(request, idle_timeout=INITIAL_IDLE_TIMEOUT) as stream:
                items, version = await self._read_initial_list(stream)
                self._replace_store(items, version)
                stream.idle_timeout = idle_timeout
                await self._apply_events(stream)
        except WatchRefusedError as error:
            if error.answer.status in (400, 422):
                raise StreamingListUnavailableError(str(error)) from error
            raise
        if self._clock.now() - started < SHORT_WATCH_SECONDS:
            raise ShortWatchError(f"the server ended the watch within {SHORT_WATCH_SECONDS:g} s")

    async def _read_initial_list(self, stream: WatchStream) -> tuple[list[Object], str]:
        """Return the objects of a streaming list and its version."""
        found: dict[str, Object] = {}
        try:
            async for event in stream:
                obj = self._object(event)
                if event.type == "DELETED":
                    found.pop(key_of(obj), None)
                elif event.type != "BOOKMARK":
                    found[key_of(obj)] = self._transform(obj)  # at once: untransformed, they may be too many
                elif (obj["metadata"].get("annotations") or {}).get(INITIAL_EVENTS_END) == "true":
                    return list(found.values()), version_of(obj)
        except WatchIdleTimeoutError as error:
            raise StreamingListUnavailableError(f"no bookmark ended the list: {error}") from error
        raise StreamingListUnavailableError("the watch ended before a bookmark ended the list")

    async def _apply_events(self, stream: WatchStream) -> None:
        async for event in stream:
            obj = self._object(event)
            if event.type == "BOOKMARK":
                stream.idle_timeout = min(stream.idle_timeout, BOOKMARK_IDLE_TIMEOUT)
            else:
                self._store.apply(event.type, self._transform(obj))
            if not is_older(version_of(obj), self.version):
                self.version = version_of(obj)

    def _object(self, event: WatchEvent) -> Object:
        """Return the event's object, which has at least a version, and a name unless it is a bookmark."""
        obj: Object = event.object
        if event.type == "ERROR":
            raise WatchStatusError(obj)
        metadata = obj.get("metadata")
        wanted = ["resourceVersion"] if event.type == "BOOKMARK" else ["resourceVersion", "name"]
        known = event.type in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK")
        if not known or not isinstance(metadata, dict) or not all(metadata.get(name) for name in wanted):
            raise WatchGarbledError(f"event of type {event.type!r} with the metadata {metadata!r:.200}")
        return obj

    def _watch_request(self, query: dict[str, str]) -> tuple[Request, float]:
        """Return the request, and the idle timeout after which its connection counts as dead."""
        timeout = SHORTEST_SERVER_TIMEOUT * (1.0 + self._uniform())
        query = {
            **self._selectors,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(timeout)),
            **query,
        }
        return Request("list", self._resource, self._namespace, query=query), timeout + SERVER_TIMEOUT_GRACE
