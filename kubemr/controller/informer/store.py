"""Objects by key, and by the values of index functions.

Only the informer writes to its store, always in one step on the event loop.
So a reader that does not await in between sees one consistent state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from kubemr.controller.informer.object_keys import Object, key_of, make_key

IndexFunction: TypeAlias = Callable[[Object], Iterable[str]]
"""Returns the values under which an object is found, any number of them.  They must depend on the object alone."""


def by_label(label: str) -> IndexFunction:
    """Return an index by the value of `label`; it contains no object without that label."""

    def values(obj: Object) -> Iterable[str]:
        value = (obj["metadata"].get("labels") or {}).get(label)
        return [] if value is None else [value]

    return values


class Store:
    """A set of objects of one kind with its indexes."""

    def __init__(self, indexes: Mapping[str, IndexFunction] | None = None) -> None:
        self._functions = dict(indexes or {})
        self._objects: dict[str, Object] = {}
        self._indexes: dict[str, dict[str, set[str]]] = {name: {} for name in self._functions}
        """Index name → value → keys.  Every key is in `_objects`; no set is empty."""

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self._objects)

    def __iter__(self) -> Iterator[Object]:
        """Iterate over all objects, in no particular order."""
        return iter(list(self._objects.values()))

    def __contains__(self, key: str) -> bool:
        return key in self._objects

    def get(self, key: str) -> Object | None:
        """Return the object with this key (see `make_key`), or None."""
        return self._objects.get(key)

    def find(self, namespace: str | None, name: str) -> Object | None:
        """Return the object of this name, or None."""
        return self._objects.get(make_key(namespace, name))

    def keys(self) -> list[str]:
        """Return the keys of all objects."""
        return list(self._objects)

    def select(self, index: str, value: str) -> list[Object]:
        """Return the objects that `index` has under `value`.  Raises KeyError if there is no such index."""
        return [self._objects[key] for key in self._indexes[index].get(value, ())]

    def put(self, obj: Object) -> None:
        """Add the object, or replace the one with its key."""
        key = key_of(obj)
        values = self._values_of(obj)  # before anything is changed: an index function may fail
        self.remove(key)
        self._objects[key] = obj
        self._add_to_indexes(key, values)

    def remove(self, key: str) -> None:
        """Remove the object if there is one."""
        obj = self._objects.pop(key, None)
        if obj is None:
            return
        for name, values in self._values_of(obj).items():
            index = self._indexes[name]
            for value in values:
                keys = index[value]
                keys.discard(key)
                if not keys:
                    del index[value]

    def replace(self, objects: Iterable[Object]) -> None:
        """Replace the content by exactly these objects."""
        fresh = Store(self._functions)
        for obj in objects:
            fresh.put(obj)
        self._objects, self._indexes = fresh._objects, fresh._indexes

    def _values_of(self, obj: Object) -> dict[str, set[str]]:
        return {name: set(function(obj)) for name, function in self._functions.items()}

    def _add_to_indexes(self, key: str, values: Mapping[str, set[str]]) -> None:
        for name, found in values.items():
            for value in found:
                self._indexes[name].setdefault(value, set()).add(key)
