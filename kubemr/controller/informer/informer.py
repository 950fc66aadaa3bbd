"""An informer keeps the objects of one kind in a store, and reports their changes to handlers.

    informer = Informer(client, JOBS, indexes={"uid": by_label(JOB_UID)})
    registration = informer.add_handler(EnqueueKeys(queue.add))
    async with asyncio.TaskGroup() as group:
        group.create_task(informer.run())
        await registration.wait_synced()

The store is changed before handlers are notified.
So an object that a handler reads from the store is never older than the one that the handler received.
An object never returns to an older version.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

import structlog

from kubemr.controller.backoff import ResettingBackoff
from kubemr.controller.client.client import Client
from kubemr.controller.clock import AsyncioClock, Clock
from kubemr.controller.informer.changes import Added, Change, Deleted, Updated
from kubemr.controller.informer.handlers import Handler, Registration
from kubemr.controller.informer.object_keys import (
    Object,
    is_older,
    key_of,
    strip_managed_fields,
    uid_of,
    version_of,
)
from kubemr.controller.informer.reflector import Reflector
from kubemr.controller.informer.store import IndexFunction, Store
from kubemr.locks.effects import Resource

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Informer:
    """An informer of `namespace`, or of all namespaces.  `transform` is applied to each object before it is stored."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, IndexFunction] | None = None,
        transform: Callable[[Object], Object] = strip_managed_fields,
        streaming: bool = True,
        page_size: int = 500,
        clock: Clock | None = None,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        clock = clock or AsyncioClock()
        self.name = resource.plural
        self.store = Store(indexes)
        self._reflector = Reflector(
            client,
            resource,
            namespace,
            store=self,
            label_selector=label_selector,
            field_selector=field_selector,
            transform=transform,
            streaming=streaming,
            page_size=page_size,
            clock=clock,
            backoff=ResettingBackoff(clock, uniform),
            uniform=uniform,
        )
        self._registrations: list[Registration] = []
        self._synced = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None

    @property
    def has_synced(self) -> bool:
        """True once the store holds a complete list.  (`Registration.has_synced`: what a handler has processed.)"""
        return self._synced.is_set()

    @property
    def resource_version(self) -> str:
        """The resource version that the store has reached; empty before the first list."""
        return self._reflector.version

    async def wait_synced(self) -> None:
        """Return when `has_synced`."""
        await self._synced.wait()

    def add_handler(self, handler: Handler, name: str = "") -> Registration:
        """Report everything in the store (`initial=True`) and every change from now on to `handler`."""
        registration = Registration(handler, f"{self.name}/{name or type(handler).__name__}")
        for obj in self.store:
            registration.notify(key_of(obj), Added(obj, initial=True))
        if self.has_synced:
            registration.mark_synced()
        self._registrations.append(registration)
        if self._group is not None:
            self._group.create_task(registration.run())
        return registration

    async def run(self) -> None:
        """List, watch and notify handlers, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._reflector.run())
                for registration in self._registrations:
                    group.create_task(registration.run())
        finally:
            self._group = None

    def replace(self, objects: list[Object]) -> None:
        """Replace the store's content by a complete list of objects, for the reflector."""
        before = {key_of(obj): obj for obj in self.store}
        self.store.replace(objects)
        initial = not self.has_synced
        for obj in objects:
            self._notify_change(before.pop(key_of(obj), None), obj, initial=initial)
        for key, obj in before.items():
            self._notify(key, Deleted(obj, tombstone=True))
        if initial:
            self._synced.set()
            for registration in self._registrations:
                registration.mark_synced()

    def apply(self, event: str, obj: Object) -> None:
        """Apply an event (ADDED, MODIFIED or DELETED) to the store, for the reflector."""
        key = key_of(obj)
        before = self.store.get(key)
        if before is not None and is_older(version_of(obj), version_of(before)):
            log.warning("stale_event_ignored", informer=self.name, type=event, key=key, version=version_of(obj))
        elif event != "DELETED":
            self.store.put(obj)
            self._notify_change(before, obj, initial=False)
        elif before is not None:
            self.store.remove(key)
            self._notify(key, Deleted(obj, tombstone=False))

    def _notify_change(self, before: Object | None, obj: Object, *, initial: bool) -> None:
        key = key_of(obj)
        if before is None:
            self._notify(key, Added(obj, initial))
        elif uid_of(before) != uid_of(obj):
            self._notify(key, Deleted(before, tombstone=True))
            self._notify(key, Added(obj, initial=False))
        elif version_of(before) != version_of(obj):
            self._notify(key, Updated(before, obj))

    def _notify(self, key: str, change: Change) -> None:
        for registration in self._registrations:
            registration.notify(key, change)
