"""The arguments and the result of the search for a job (`kubemr.cli.find_job`), and its error."""

from __future__ import annotations

from typing import Final

from attr import frozen

from kubemr.storage import ObjectStore

RETRY_SECONDS: Final = 10.0
"""How long requests to an object store are retried.  It is short, because a person waits."""


class JobNotFoundError(Exception):
    """The job's objects cannot be found or read; `code` is the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@frozen
class JobLocation:
    """The part of an object store that is the job's; `prefix` ends in a slash."""

    store: ObjectStore
    prefix: str


@frozen
class JobQuery:
    """The options of the command line: `store` is an address, `endpoint` that of the S3 service from here."""

    job: str
    namespace: str | None = None
    context: str | None = None
    store: str | None = None
    endpoint: str | None = None
