"""The state that the server's operations share: the store, the kinds, and the sources of time, uids and name suffixes.

The sources are passed in, so that a simulation can replay them.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Final

from attr import define, field, frozen

from kubemr.local.apiserver import errors
from kubemr.local.apiserver.builtin_kinds import builtin_kinds
from kubemr.local.apiserver.custom_resources import CRD_GROUP, Rules, definition_kind, kinds_of
from kubemr.local.apiserver.kinds import Kind
from kubemr.local.apiserver.store import Collection, Key, Store, key_of
from kubemr.locks.effects import Json, Resource

NAMESPACES: Final = Collection("namespaces.")


@frozen
class Sources:
    """`clock` returns seconds since 1970, `uids` a new uid, `suffixes` five characters for `generateName`."""

    clock: Callable[[], float]
    uids: Callable[[], str]
    suffixes: Callable[[], str]


@define
class State:
    """All state of a server."""

    sources: Sources
    store: Store
    rules: Mapping[tuple[str, str], Rules]
    kinds: dict[tuple[str, str, str], Kind] = field(init=False)
    by_collection: dict[Collection, Kind] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.kinds, self.by_collection = {}, {}
        for kind in (*builtin_kinds(), definition_kind()):
            self.add_kind(kind)

    def add_kind(self, kind: Kind) -> None:
        """Serve a kind, or a new version of it."""
        resource = kind.resource
        self.kinds[resource.group, resource.version, resource.plural] = kind
        self.by_collection[kind.collection] = kind

    def definition_stored(self, definition: Json) -> None:
        """Serve the kinds of a new or changed custom resource definition."""
        self.definition_removed(definition)
        for kind in kinds_of(definition, self.rules):
            self.add_kind(kind)

    def definition_removed(self, definition: Json) -> None:
        """Stop serving the kinds of a definition."""
        group, plural = definition["spec"]["group"], definition["spec"]["names"]["plural"]
        for key in [key for key in self.kinds if key[0] == group and key[2] == plural]:
            self.by_collection.pop(self.kinds.pop(key).collection, None)

    def kind(self, resource: Resource) -> Kind:
        """Return the kind at a resource's URL.  Raises a 404 `ApiError` if there is none."""
        kind = self.kinds.get((resource.group, resource.version, resource.plural))
        if kind is None:
            raise errors.no_such_resource()
        return kind

    def now(self) -> str:
        """Return the clock's time as Kubernetes writes it, in whole seconds."""
        moment = datetime.datetime.fromtimestamp(self.sources.clock(), datetime.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def existing(self, kind: Kind, namespace: str | None, name: str) -> Json:
        """Return the stored object.  Raises a 404 `ApiError` if there is none."""
        obj = self.store.get(kind.collection, key_of(namespace, name))
        if obj is None:
            raise errors.not_found(kind.group, kind.plural, name)
        return obj

    def put(self, kind: Kind, obj: Json) -> Json:
        """Store an object that has passed every check."""
        stored = self.store.put(kind.collection, self.key(obj), obj)
        if kind.group == CRD_GROUP:
            self.definition_stored(stored)
        return stored

    def remove(self, kind: Kind, obj: Json) -> Json:
        """Remove an object permanently, and return its last state."""
        if kind.group == CRD_GROUP:
            spec = obj["spec"]
            collection = Collection(f"{spec['names']['plural']}.{spec['group']}")
            for instance in list(self.store.values(collection)):
                self.store.remove(collection, self.key(instance))
            self.definition_removed(obj)
        return self.store.remove(kind.collection, self.key(obj))

    @staticmethod
    def key(obj: Json) -> Key:
        """Return the key of an object."""
        metadata = obj["metadata"]
        return key_of(metadata.get("namespace"), metadata["name"])
