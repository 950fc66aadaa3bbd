"""What one handler has yet to hear.

The informer puts changes in and never waits; the handler's task takes them out in its own time.  So a slow handler
delays neither the watch nor other handlers.

Bound: changes to one key are merged (`changes.merge`), so at most two wait for each key, and an object that came and
went while the handler was busy is not mentioned at all.  A handler that is stuck for ever therefore costs memory in
proportion to the objects it was told of plus those that live now, however many changes there are.
Order: changes to one key come in order.  Keys come in the order of their first change that is still pending.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from kubemr.controller.informer.changes import Change, merge

SyncMarker: TypeAlias = Callable[[], None]
"""Called when everything that was put in before it has been taken out and dealt with."""


class Buffer:
    """For one producer and one consumer on the same event loop."""

    def __init__(self) -> None:
        self._pending: OrderedDict[str | SyncMarker, list[Change]] = OrderedDict()
        """By key, in order; no list of a key is empty.  A mark stands in the line as a key of its own."""
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        """How many keys have changes pending."""
        return sum(isinstance(key, str) for key in self._pending)

    def put(self, key: str, change: Change) -> None:
        """`change` happened to `key`."""
        merged = merge(self._pending.get(key, []), change)
        if merged:
            self._pending[key] = merged
            self._filled.set()
        else:
            del self._pending[key]

    def add_sync_marker(self, reached: SyncMarker) -> None:
        """Have `reached` called when all that is pending now has been dealt with."""
        self._pending[reached] = []
        self._filled.set()

    async def get(self) -> Change:
        """The next change.  Asking for it says that the one before has been dealt with."""
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
                self._pending[key] = changes[1:]  # keeps its place, the first
            else:
                del self._pending[key]
            return change
