"""The exceptions of `kubemr.locks`.

`except LocksError` catches each of them.
Most are defined beside the operations that raise them, and all are exported from `kubemr.locks`:

* LocksError
  * RequestRefusedError      (conditional)   the apiserver refused a request, and repeating it changes nothing
  * StreamRefusedError       (errors)        the apiserver refused a watch, or sent something else than events
  * LockNotAcquiredError     (held_lock)     another holder kept the lock, or its object does not exist
  * LockLostError            (held_lock)     the lock was lost while the holder still needed it
  * LeaseLostError           (lease)         another process holds the Lease, or it was deleted
  * StoppedError             (threads)       a `Stop` ended the operation
  * InvalidLockError         (errors)        a wrong value or path of a lock; also a ValueError
  * ConfigError              (config)        the settings do not lead to an apiserver; also a ValueError

What a transport meets on the network is not an exception, but an `Answer` with the status `UNKNOWN`.
"""

from __future__ import annotations


class LocksError(Exception):
    """The base class of all exceptions that `kubemr.locks` defines."""


class InvalidLockError(LocksError, ValueError):
    """The value at the path is not a lock, the path cannot have one, or an argument of `Lock` is wrong."""


class StreamRefusedError(LocksError):
    """The apiserver refused a watch, or did not answer with events: repeating the watch changes nothing."""
