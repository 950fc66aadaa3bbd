"""Decide which credentials the operator uses to list a job's inputs, and which addresses it may read.

It uses the job's own keys: those of the Secret that the job names, or those that an administrator lends to all jobs.
With its own access (its identity, its files, the web servers of its network) the operator reads only some addresses:
those below the addresses that an administrator has named (`KUBEMR_INPUTS_FROM`).
Otherwise a job could learn through the operator what the job's own pods cannot read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import BinaryIO, Final
from urllib.parse import unquote

from attrs import field, frozen

from kubemr.resources import Problem
from kubemr.storage import ObjectStore, open_input, open_store
from kubemr.storage.retry import Retrier

EVERYTHING: Final = "*"
LONGEST_SHOWN: Final = 512
"""Characters of an address in an error."""


class InputsError(Exception):
    """The inputs do not match the spec, and waiting will not change that.  The error names field, value and remedy."""

    def __init__(self, path: str, value: str | None, message: str, remedy: str) -> None:
        # The address is shown whole, because its end is the likely place of the error.
        shown = "" if value is None else json.dumps(value[:LONGEST_SHOWN], ensure_ascii=False)
        super().__init__(str(Problem(path, shown, message, remedy)))


@frozen
class Access:
    """`environ` has the S3 service and the keys.

    With `own_keys` the keys are the job's own, and every bucket that they open may be read.
    Otherwise only addresses below `allowed` may be read.
    """

    environ: Mapping[str, str]
    own_keys: bool = False
    allowed: tuple[str, ...] = ()
    retrier: Retrier = field(factory=Retrier)
    _stores: dict[str, ObjectStore] = field(factory=dict, init=False, eq=False)

    def check(self, path: str, address: str) -> None:
        """Raise `InputsError` for the field `path` unless the operator may read `address`."""
        scheme = address.partition("://")[0]
        if ".." in unquote(address).split("/"):
            raise InputsError(path, address, "has a folder ..", "write the address without it")
        if self.own_keys and scheme == "s3":
            return
        if not any(one == EVERYTHING or address.startswith(one) for one in self.allowed):
            message = "the operator may not read there with its own permissions"
            ask = "ask an administrator to add it to the operator's KUBEMR_INPUTS_FROM"
            remedy = {
                "s3": f"name the keys in spec.storage.s3.secretRef, or {ask}",
                "file": f"list the files in an object in S3, and name it as a manifest; or {ask}",
            }.get(scheme, f"put the list into S3; or {ask}")
            raise InputsError(path, address, message, remedy)

    def store(self, address: str) -> tuple[ObjectStore, str]:
        """Return the store of an address, and the key or prefix in it."""
        scheme, _, rest = address.partition("://")
        if scheme == "file":
            return self._opened("file:///"), unquote(rest).lstrip("/")
        root, _, key = rest.partition("/")
        return self._opened(f"{scheme}://{root}"), key

    def open(self, address: str) -> BinaryIO:
        """Open the object at an address for reading."""
        return open_input(address, self.environ, self.retrier)

    def _opened(self, root: str) -> ObjectStore:
        if root not in self._stores:
            self._stores[root] = open_store(root, self.environ, self.retrier)
        return self._stores[root]
