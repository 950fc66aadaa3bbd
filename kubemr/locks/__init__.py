"""Conditional JSON Patches, and locks made of them, on any object of a Kubernetes apiserver.

This is a library in its own right.
It needs `attrs`, and no other part of kubemr; importing it takes some tens of milliseconds.
`HttpTransport`, `http` and `aio` are imported on first use (PEP 562), because they import `http.client` and asyncio::

    from kubemr.locks import HttpTransport, Lock, Resource, Target, from_environment, hold, unique

    gadget = Target(Resource("example.com", "v1", "gadgets"), "default", "press")
    with HttpTransport(from_environment()) as transport:
        with hold(Lock(gadget, "/lockholder", unique()), transport) as lock:
            print("fence", lock.fence)

docs/locks.md has the guarantees, and errors.py the tree of exceptions, which all are a `LocksError`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kubemr.locks.conditional import PatchResult, PatchStatus, RequestRefusedError, Target, apply, read
from kubemr.locks.config import ConfigError, Server, from_environment
from kubemr.locks.effects import Answer, Op, Request, Resource
from kubemr.locks.errors import InvalidLockError, LocksError, StreamRefusedError
from kubemr.locks.failure_detectors import FailureDetector, LeaseDetector, LockHeartbeatDetector
from kubemr.locks.held_lock import HeldLock, LockLostError, LockNotAcquiredError, hold
from kubemr.locks.identity import unique
from kubemr.locks.lease import LeaseLostError
from kubemr.locks.liveness import Observation
from kubemr.locks.lock import Acquisition, Lock, LockResult, LockStatus, acquire, release, renew, try_acquire, write
from kubemr.locks.lock_value import LockValue
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
    "StreamRefusedError",
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
    """Import a module that takes time to import, on first use of its name."""
    if name == "HttpTransport":
        value: object = import_module("kubemr.locks.http").HttpTransport
    elif name in ("aio", "http"):
        value = import_module(f"kubemr.locks.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
