"""Places with inputs: stores that can be filled, and an access to all of them."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from kubemr.controller.inputs.access import EVERYTHING, Access
from kubemr.storage import ObjectStore, Retrier


@frozen
class Place:
    """An empty store; its files have addresses that begin with `root`.  `environ` is what opens it."""

    root: str
    store: ObjectStore
    environ: Mapping[str, str] = field(factory=dict)

    def fill(self, *keys: str) -> list[str]:
        """Files whose content is their key; their addresses."""
        for key in keys:
            self.store.put(key, key.encode())
        return [self.store.url(key) for key in keys]

    @property
    def access(self) -> Access:
        """To everything."""
        return Access(self.environ, allowed=(EVERYTHING,), retrier=Retrier(attempts=1))
