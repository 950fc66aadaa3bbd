"""Handlers of an informer's changes, and the task that delivers changes to each of them.

The methods of a handler are coroutines; each change is awaited before the next.
An exception of a handler is logged and does not end the handler.
So a handler must rely on the store, not on receiving every change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from kubemr.controller.informer.buffer import Buffer
from kubemr.controller.informer.changes import Added, Change, Deleted, Updated
from kubemr.controller.informer.object_keys import Object, key_of

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Handler(Protocol):
    """What receives the changes of an informer's objects.  It must not modify the objects, because they are shared."""

    async def added(self, obj: Object, *, initial: bool) -> None:
        """Process a new object; `initial` if it existed at the start."""

    async def updated(self, old: Object, new: Object) -> None:
        """Process a change from `old` to `new`, perhaps in several steps."""

    async def deleted(self, obj: Object, *, tombstone: bool) -> None:
        """Process a deletion; with `tombstone` it was missed, and `obj` is the last state seen."""


class EnqueueKeys:
    """A handler that adds keys to a work queue: by default the object's own, else those that `keys_of` returns.

    `keys_of` maps, for instance, a pod to the key of the job that owns it.
    """

    def __init__(
        self, add: Callable[[str], None], keys_of: Callable[[Object], Iterable[str]] = lambda obj: (key_of(obj),)
    ) -> None:
        self._add = add
        self._keys_of = keys_of

    async def added(self, obj: Object, *, initial: bool) -> None:
        """Add the object's keys."""
        self._add_all(self._keys_of(obj))

    async def updated(self, old: Object, new: Object) -> None:
        """Add the keys of both states, because the object's owner may have changed."""
        self._add_all({**dict.fromkeys(self._keys_of(old)), **dict.fromkeys(self._keys_of(new))})

    async def deleted(self, obj: Object, *, tombstone: bool) -> None:
        """Add the object's keys."""
        self._add_all(self._keys_of(obj))

    def _add_all(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._add(key)


class Registration:
    """A handler that is registered with an informer."""

    def __init__(self, handler: Handler, name: str) -> None:
        self.name = name
        self._handler = handler
        self._buffer = Buffer()
        self._synced = asyncio.Event()

    @property
    def pending(self) -> int:
        """How many keys have changes that the handler has not received."""
        return len(self._buffer)

    @property
    def has_synced(self) -> bool:
        """True once the handler has processed all objects that existed at the start."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return when `has_synced`."""
        await self._synced.wait()

    def notify(self, key: str, change: Change) -> None:
        """Put `change` into the handler's buffer."""
        self._buffer.put(key, change)

    def mark_synced(self) -> None:
        """Mark in the buffer that all objects that existed at the start come before."""
        self._buffer.add_sync_marker(self._synced.set)

    async def run(self) -> None:
        """Deliver changes until cancelled."""
        while True:
            change = await self._buffer.get()
            try:
                await self._deliver(change)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                self._log_failure(change, error)  # something the handler awaited was cancelled, not this task
            except Exception as error:
                self._log_failure(change, error)

    async def _deliver(self, change: Change) -> None:
        match change:
            case Added(obj, initial):
                await self._handler.added(obj, initial=initial)
            case Updated(old, new):
                await self._handler.updated(old, new)
            case Deleted(obj, tombstone):
                await self._handler.deleted(obj, tombstone=tombstone)

    def _log_failure(self, change: Change, error: BaseException) -> None:
        obj = change.new if isinstance(change, Updated) else change.obj
        log.error(
            "handler_failed",
            handler=self.name,
            change=type(change).__name__.lower(),
            key=key_of(obj),
            error=str(error) or type(error).__name__,
            exc_info=error,
        )
