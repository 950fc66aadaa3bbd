"""The kinds that the server knows: their names, what may be done to them, and their strategy.

A `Kind` says how a kind is named and addressed.  Its `Strategy` says what the server does to an object of that
kind on the way in: decode, default, validate.  Built-in kinds have theirs in `builtin_kinds`, custom ones get one
from their definition's schema (`custom`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attr import field, frozen

from kubemr.local.apiserver.errors import Cause
from kubemr.local.apiserver.selectors import METADATA_FIELDS
from kubemr.local.apiserver.store import Collection
from kubemr.locks.effects import Json, Resource


class Strategy(Protocol):
    """What is particular to a kind.  Objects passed in are the callee's to change, `old` is not."""

    def decode(self, body: Json) -> list[str]:
        """Bring a client's document into the kind's shape, in place; returns the fields that it dropped.

        Raises `Undecodable` when it does not fit.
        """

    def create(self, obj: Json) -> None:
        """Fill in defaults of a new object, drop what a client may not set."""

    def update(self, obj: Json, old: Json) -> None:
        """Fill in defaults of a changed object."""

    def check(self, obj: Json, old: Json, subresource: str | None) -> Sequence[Cause]:
        """What is wrong with it; `old` is None for a new object."""


class DecodeError(Exception):
    """A document does not fit the Go type of its kind, or the like; the text is the decoder's."""


@frozen
class Kind:
    """How a kind is named and what the server does for it.

    `generation`: `metadata.generation` counts the changes outside metadata and status.
    `create_on_update`: a PUT may create.  `unconditional_update`: a PUT needs no resourceVersion.
    `returns_deleted`: a DELETE answers with the object rather than with a `Status`.
    `orphans`: a DELETE without a policy orphans the dependents, rather than to leave them to the collector.
    """

    resource: Resource
    name: str
    singular: str
    strategy: Strategy
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    fields: tuple[str, ...] = METADATA_FIELDS
    status: bool = False
    scale: Json = None
    generation: bool = False
    custom: bool = False
    create_on_update: bool = False
    unconditional_update: bool = True
    returns_deleted: bool = False
    orphans: bool = False
    graceful: bool = False
    label_name: bool = False
    columns: tuple[Json, ...] = ()
    list_name: str = field()
    collection: Collection = field(init=False)
    type_meta: Json = field(init=False)

    @list_name.default
    def _list_name(self) -> str:
        return f"{self.name}List"

    @collection.default
    def _collection(self) -> Collection:
        return Collection(f"{self.resource.plural}.{self.resource.group}")

    @type_meta.default
    def _type_meta(self) -> Json:
        return {"kind": self.name, "apiVersion": self.api_version}

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return self.resource.group

    @property
    def plural(self) -> str:
        """The plural, as URLs name it."""
        return self.resource.plural

    @property
    def api_version(self) -> str:
        """`group/version`."""
        return f"{self.group}/{self.resource.version}" if self.group else self.resource.version
