"""The changes that one handler has not received yet.

The informer puts changes in and never waits; the handler's task takes them out when it is ready.
So a slow handler delays neither the watch nor other handlers.

Bound: changes to one key are merged (`changes.merge`), so at most two wait for each key.
A handler never receives an object that was added and deleted while the handler was busy.
So the memory for a handler that is stuck permanently is bounded by the number of objects, not of changes:
those that the handler has received, and those that exist now.

Order: changes to one key come in order.  Keys come in the order of their first pending change.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from kubemr.controller.informer.changes import Change, merge

SyncMarker: TypeAlias = Callable[[], None]
"""Called when the handler has processed all changes that were put in before it."""


class Buffer:
    """A buffer for one producer and one consumer on the same event loop."""

    def __init__(self) -> None:
        self._pending: OrderedDict[str | SyncMarker, list[Change]] = OrderedDict()
        """By key, in order; no list of a key is empty.  A marker has a place in this order like a key."""
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        """Return how many keys have pending changes."""
        return sum(isinstance(key, str) for key in self._pending)

    def put(self, key: str, change: Change) -> None:
        """Add a change of the object with that key."""
        merged = merge(self._pending.get(key, []), change)
        if merged:
            self._pending[key] = merged
            self._filled.set()
        else:
            del self._pending[key]

    def add_sync_marker(self, reached: SyncMarker) -> None:
        """Call `reached` when the handler has processed all changes that are pending now."""
        self._pending[reached] = []
        self._filled.set()

    async def get(self) -> Change:
        """Remove and return the next change.  The call also means that the change before it has been processed."""
        while True:
            while not self._pending:
                self._filled.clear()
                await self._filled.wait()
            key, changes = next(iter(self._pending.items()))
            if not isinstance(key, str):
                del self._pending[key]
                key()
                continue
            change = changes[0]
            if len(changes) > 1:
                self._pending[key] = changes[1:]  # the key stays first
            else:
                del self._pending[key]
            return change
