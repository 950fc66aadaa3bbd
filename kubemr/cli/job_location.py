"""What the search for a job takes and returns (`kubemr.cli.find_job`), and the error when it finds none."""

from __future__ import annotations

from typing import Final

from attr import frozen

from kubemr.storage import ObjectStore

RETRY_SECONDS: Final = 10.0
"""How long an object store is asked that does not answer: a person waits."""


class JobNotFoundError(Exception):
    """The job's objects cannot be got at; `code` is the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


@frozen
class JobLocation:
    """A job's part of an object store; `prefix` ends in a slash."""

    store: ObjectStore
    prefix: str


@frozen
class JobQuery:
    """What the command line says: `store` an address, `endpoint` that of the S3 service as seen from here."""

    job: str
    namespace: str | None = None
    context: str | None = None
    store: str | None = None
    endpoint: str | None = None
