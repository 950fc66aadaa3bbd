"""The errors of object stores.

Every error names the operation, the store, the key and the remedy.  Each class calls for a different reaction of the
caller; all derive from `StorageError`.

====================  ==========================================================================
`NoSuchKeyError`      there is no such object
`NoSuchBucketError`   there is no such bucket: create it, or correct its name
`AccessDeniedError`   the access keys, or this user of the file system, have no permission
`StorageFullError`    no room, or a quota is reached
`ReadOnlyError`       the store cannot be written to
`InvalidKeyError`     the key cannot name an object here
`NotSupportedError`   this kind of store cannot do that (an http server cannot be listed)
`ObjectChangedError`  the object was replaced while it was being read
`TransientError`      it may work later; it was retried until the attempts were used up
====================  ==========================================================================
"""

from __future__ import annotations


class StorageError(Exception):
    """An operation on an object store failed.  `key` is empty if the error is not about one object."""

    remedy_by_default = ""

    def __init__(self, operation: str, store: str, key: str, problem: str, remedy: str = "") -> None:
        # The arguments are passed on as they are, so that the error can be pickled and sent to another process.
        super().__init__(operation, store, key, problem, remedy)
        self.operation = operation
        self.store = store
        self.key = key
        self.problem = problem
        self.remedy = remedy or self.remedy_by_default

    def __str__(self) -> str:
        what = f"{self.operation} {self.key!r}" if self.key else self.operation
        text = f"{what} in {self.store}: {self.problem}"
        return f"{text}; {self.remedy}" if self.remedy else text


class NoSuchKeyError(StorageError):
    """There is no object of that key."""

    remedy_by_default = "check the key, and that its writer has finished"


class NoSuchBucketError(StorageError):
    """There is no bucket of that name."""

    remedy_by_default = "create the bucket, or correct its name"


class AccessDeniedError(StorageError):
    """The credentials, or missing credentials, do not allow the operation."""

    remedy_by_default = "check the access keys and what they are allowed to do"


class StorageFullError(StorageError):
    """The store has no room, or a quota is reached."""

    remedy_by_default = "make room or raise the quota, then retry"


class ReadOnlyError(StorageError):
    """The store cannot be written to."""

    remedy_by_default = "write to a directory (file://) or to S3 (s3://) instead"


class InvalidKeyError(StorageError):
    """The key cannot name an object in this store."""

    remedy_by_default = "choose another key"


class NotSupportedError(StorageError):
    """This kind of store has no such operation."""


class ObjectChangedError(StorageError):
    """The object was replaced while it was read: the rest does not belong to what was read before."""

    remedy_by_default = "read it again from the start, and write changed data under another key"


class TransientError(StorageError):
    """A failure that may pass: the server is busy, unreachable, or broke the connection.

    Within the storage layer it stands for one failed attempt.  An error that leaves the storage layer says how many
    attempts were made and how long they took.  `retry_after` is how long the server asked to wait, in seconds.
    """

    remedy_by_default = "check that the store is up and can be reached from here, then retry"
    retry_after: float | None = None
