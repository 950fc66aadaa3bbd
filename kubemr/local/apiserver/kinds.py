"""The kinds that the server knows: their names, their properties, and their strategy.

A `Kind` says how a kind is named and addressed.  Its `Strategy` says what the server does to an object of that kind
before it is stored: decode, default, validate.  `builtin_types` holds the strategies of built-in kinds;
`custom_resources` makes one from a definition's schema.
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
    """What is particular to a kind.  A method may change the objects that it gets, except `old`."""

    def decode(self, body: Json) -> list[str]:
        """Bring a client's document into the kind's shape, in place, and return the fields that were dropped.

        Raises `DecodeError` if the document does not fit.
        """

    def create(self, obj: Json) -> None:
        """Fill in defaults of a new object, and drop what a client cannot set."""

    def update(self, obj: Json, old: Json) -> None:
        """Fill in defaults of a changed object."""

    def check(self, obj: Json, old: Json, subresource: str | None) -> Sequence[Cause]:
        """Return what is wrong with an object; `old` is None for a new one."""


class DecodeError(Exception):
    """A document does not fit the Go type of its kind, or the like; the text is that of Go's decoder."""


@frozen
class Kind:
    """The names of a kind, and what the server does for it.

    - `generation`: `metadata.generation` counts the changes outside metadata and status.
    - `create_on_update`: a PUT may create.
    - `unconditional_update`: a PUT needs no resourceVersion.
    - `returns_deleted`: a DELETE answers with the object, rather than with a `Status`.
    - `orphans`: a DELETE without a policy orphans the dependents, rather than leave them to the garbage collector.
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
