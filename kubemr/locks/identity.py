"""Names for claimants that nobody else has, not even this process before its last restart."""

from __future__ import annotations

import os


def unique(prefix: str = "") -> str:
    """`<prefix>-<pid>-<random>`; the prefix is by default the machine's name.  Fit for `Lock.identity`."""
    return f"{prefix or os.uname().nodename}-{os.getpid()}-{os.urandom(4).hex()}"
