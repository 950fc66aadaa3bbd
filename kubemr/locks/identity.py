"""Names for claimants that nobody else has, not even this process before its last restart."""

from __future__ import annotations

import os
from typing import NewType

Token = NewType("Token", str)
"""The identity of a Lease's holder, drawn anew at every process start."""


def unique(prefix: str = "") -> str:
    """`<prefix>-<pid>-<random>`; the prefix is by default the machine's name.  Fit for `Lock.identity`."""
    return f"{prefix or os.uname().nodename}-{os.getpid()}-{os.urandom(4).hex()}"
