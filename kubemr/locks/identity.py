"""Unique names for lock holders: two processes never share one, and every start of a process has a new one."""

from __future__ import annotations

import os
from typing import NewType

Token = NewType("Token", str)
"""The identity of a Lease's holder: a new one at every start of a process."""


def unique(prefix: str = "") -> str:
    """Return `<prefix>-<pid>-<random>`, which is fit for `Lock.identity`.

    The default prefix is the machine's name.
    """
    return f"{prefix or os.uname().nodename}-{os.getpid()}-{os.urandom(4).hex()}"
