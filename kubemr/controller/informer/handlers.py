"""Handlers of an informer's changes, and the task that feeds each of them.

A handler's methods are coroutines; each change is awaited before the next.  What a handler raises is logged and does
not end it: it must not rely on seeing every change, but on the store.
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
    """Hears what happens to the objects of an informer.  Objects are shared: they must not be changed."""

    async def added(self, obj: Object, *, initial: bool) -> None:
        """`obj` is new; `initial` if it was there at the beginning."""

    async def updated(self, old: Object, new: Object) -> None:
        """`old` became `new`, perhaps in several steps."""

    async def deleted(self, obj: Object, *, tombstone: bool) -> None:
        """`obj` is gone; with `tombstone` it is the last state seen, because the deletion itself was missed."""


class EnqueueKeys:
    """A handler that adds keys to a work queue: by default the object's own, else what `keys_of` makes of it.

    `keys_of` maps, for instance, a pod to the key of the job that owns it.
    """

    def __init__(
        self, add: Callable[[str], None], keys_of: Callable[[Object], Iterable[str]] = lambda obj: (key_of(obj),)
    ) -> None:
        self._add = add
        self._keys_of = keys_of

    async def added(self, obj: Object, *, initial: bool) -> None:
        """Its keys."""
        self._add_all(self._keys_of(obj))

    async def updated(self, old: Object, new: Object) -> None:
        """The keys of both: the object may have changed hands."""
        self._add_all({**dict.fromkeys(self._keys_of(old)), **dict.fromkeys(self._keys_of(new))})

    async def deleted(self, obj: Object, *, tombstone: bool) -> None:
        """Its keys."""
        self._add_all(self._keys_of(obj))

    def _add_all(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._add(key)


class Registration:
    """A handler's place at an informer."""

    def __init__(self, handler: Handler, name: str) -> None:
        self.name = name
        self._handler = handler
        self._buffer = Buffer()
        self._synced = asyncio.Event()

    @property
    def pending(self) -> int:
        """How many keys have changes that the handler has not heard of."""
        return len(self._buffer)

    @property
    def has_synced(self) -> bool:
        """True once the handler has dealt with all objects that were there at the beginning."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return when `has_synced`."""
        await self._synced.wait()

    def notify(self, key: str, change: Change) -> None:
        """Have the handler hear of `change`, in its own time."""
        self._buffer.put(key, change)

    def mark_synced(self) -> None:
        """All objects of the beginning have been told."""
        self._buffer.add_sync_marker(self._synced.set)

    async def run(self) -> None:
        """Hand over changes until cancelled."""
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
