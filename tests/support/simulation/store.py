"""An object store in memory, whose every write the referee sees, and which fails when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO

from attr import define, field, frozen

from support.simulation.referee import Referee


class StoreFailed(Exception):
    """The store did not do it."""


@frozen
class Found:
    """One object of a listing."""

    key: str


@define
class MemoryStore:
    """`fails()` is asked at every call."""

    referee: Referee
    fails: Callable[[], bool]
    objects: dict[str, bytes] = field(factory=dict)

    def put(self, key: str, data: bytes) -> None:
        """Write, whole or not at all."""
        self._may_fail("put", key)
        self.referee.object_written(key, data)
        self.objects[key] = data

    @contextmanager
    def writer(self, key: str) -> Iterator[BinaryIO]:
        """Write, when all is there."""
        stream = BytesIO()
        yield stream
        self.put(key, stream.getvalue())

    def get(self, key: str) -> bytes:
        """Read."""
        self._may_fail("get", key)
        if key not in self.objects:
            raise StoreFailed(f"get {key}: no such key")
        return self.objects[key]

    def list(self, prefix: str) -> Iterator[Found]:
        """Sorted by key."""
        self._may_fail("list", prefix)
        return iter([Found(key) for key in sorted(self.objects) if key.startswith(prefix)])

    def url(self, key: str) -> str:
        """Its address."""
        return f"memory://{key}"

    def delete_prefix(self, prefix: str, keep: Callable[[str], bool] | None = None) -> int:
        """Remove what is below, but for what is to be kept."""
        self._may_fail("delete", prefix)
        keys = [key for key in self.objects if key.startswith(prefix) and not (keep and keep(key))]
        for key in keys:
            del self.objects[key]
        return len(keys)

    def check(self) -> None:
        """It answers."""
        self._may_fail("check", "")

    def _may_fail(self, what: str, key: str) -> None:
        if self.fails():
            raise StoreFailed(f"{what} {key}: the store is not answering")
