"""Conditional JSON patches, and locks made of them, on any object of a Kubernetes apiserver.

A library in its own right: of kubemr it needs nothing, of others only `attrs`, and importing it takes some tens of
milliseconds.  What speaks HTTP (`HttpTransport`) or asyncio (`aio`) is loaded when it is first used (PEP 562)::

    from kubemr.locks import HttpTransport, Lock, Resource, Target, from_environment, held, unique

    gadget = Target(Resource("example.com", "v1", "gadgets"), "default", "press")
    with HttpTransport(from_environment()) as transport:
        with held(Lock(gadget, "/lockholder", unique()), transport) as holding:
            print("fence", holding.fence)

docs/locks.md has the guarantees.  What is particular to MapReduce jobs (`taskstate`, `shard`, `claims`, `lease`) is
imported from its own module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kubemr.locks.conditional import PatchResult, PatchStatus, RequestRefusedError, Target, apply, read
from kubemr.locks.config import ConfigError, Server, from_environment
from kubemr.locks.effects import Answer, Op, Request, Resource
from kubemr.locks.errors import LocksError
from kubemr.locks.failure_detectors import FailureDetector, LeaseDetector, LockHeartbeatDetector
from kubemr.locks.held_lock import HeldLock, LockLostError, LockNotAcquiredError, hold
from kubemr.locks.identity import unique
from kubemr.locks.lease import LeaseLostError
from kubemr.locks.liveness import Observation
from kubemr.locks.lock import Acquisition, Lock, LockResult, LockStatus, acquire, release, renew, try_acquire, write
from kubemr.locks.lock_value import InvalidLockError, LockValue
from kubemr.locks.patch import MISSING, Patch, lookup, pointer
from kubemr.locks.threads import Stop, StoppedError, Transport, run

if TYPE_CHECKING:
    from kubemr.locks import aio, http
    from kubemr.locks.http import HttpTransport

__all__ = [
    "MISSING",
    "Acquisition",
    "Answer",
    "ConfigError",
    "FailureDetector",
    "HeldLock",
    "HttpTransport",
    "InvalidLockError",
    "LeaseDetector",
    "LeaseLostError",
    "Lock",
    "LockHeartbeatDetector",
    "LockLostError",
    "LockNotAcquiredError",
    "LockResult",
    "LockStatus",
    "LockValue",
    "LocksError",
    "Observation",
    "Op",
    "Patch",
    "PatchResult",
    "PatchStatus",
    "Request",
    "RequestRefusedError",
    "Resource",
    "Server",
    "Stop",
    "StoppedError",
    "Target",
    "Transport",
    "acquire",
    "aio",
    "apply",
    "from_environment",
    "hold",
    "http",
    "lookup",
    "pointer",
    "read",
    "release",
    "renew",
    "run",
    "try_acquire",
    "unique",
    "write",
]


def __getattr__(name: str) -> object:
    """Load what costs time, on first use."""
    if name == "HttpTransport":
        value: object = import_module("kubemr.locks.http").HttpTransport
    elif name in ("aio", "http"):
        value = import_module(f"kubemr.locks.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
