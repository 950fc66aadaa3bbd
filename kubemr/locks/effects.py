"""What an operation asks of the outside world, and what it hears back.

Every coordination operation in kubemr is a generator: it *yields* one of the effects below and is
*sent* the answer.  It never opens a socket, reads a clock or sleeps by itself.  So one piece of code
runs under plain threads (workers), under asyncio (the operator) and in the simulation, which steps
many of them against an in-memory apiserver in any order that a seed chooses.

==============  =========================================  ==========================
effect          what the driver does                       what it sends back
==============  =========================================  ==========================
`Request`       one HTTP exchange with the apiserver       `Answer`
`Watch`         waits for the first event of a watch       `WatchEvent` or None
`Sleep`         waits (seconds)                            None
`Now`           reads its monotonic clock                  float, seconds
`Random`        draws from [0, 1)                          float
`Do`            calls a function that may block (storage)  its return value
==============  =========================================  ==========================

A driver raises what `Do` raises *into* the generator.  It never raises for an HTTP status: a refused
request is an `Answer` like any other.  It never retries: whether a request may be repeated is the
operation's own decision.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, Literal, TypeAlias, TypeVar

from attr import field, frozen

Json: TypeAlias = Any
"""A decoded JSON document.  Objects of the apiserver are nested dicts and lists."""

Verb: TypeAlias = Literal["get", "list", "create", "replace", "patch", "delete"]

METHODS: Final[Mapping[Verb, str]] = {
    "get": "GET",
    "list": "GET",
    "create": "POST",
    "replace": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
"""The HTTP method of each verb."""

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
JSON = "application/json"

UNKNOWN = 0
"""`Answer.status` when no answer arrived: the request may or may not have been carried out."""


@frozen
class Resource:
    """A kind of object as the apiserver's URLs name it, e.g. `Resource("batch", "v1", "jobs")`.

    `group` is empty for the core group (pods, secrets, …).
    """

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the URL path; without `namespace` the collection across all namespaces."""
        parts = ["", "apis", self.group, self.version] if self.group else ["", "api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name is not None:
            parts.append(name)
            if subresource is not None:
                parts.append(subresource)
        return "/".join(parts)


@frozen
class Request:
    """One HTTP exchange with the apiserver.

    `query` holds the URL's parameters (`labelSelector`, `limit`, `fieldManager`, …), `body` the JSON
    document to send, `content_type` its type.  `timeout` is in seconds, None for the driver's default.
    """

    verb: Verb
    resource: Resource
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None
    query: Mapping[str, str] = field(factory=dict)
    body: Json = None
    content_type: str = JSON
    timeout: float | None = None

    @property
    def path(self) -> str:
        """The URL path without its query."""
        return self.resource.path(self.namespace, self.name, self.subresource)


@frozen
class Answer:
    """What came back: an HTTP status and the decoded JSON body.

    `status` is `UNKNOWN` (0) when the connection broke or timed out before an answer; `error` then
    says how.  `sent` is False when the request certainly never left (connection refused, DNS), so
    that nothing can have been written.  `retry_after` is the header of that name, in seconds.
    """

    status: int
    body: Json = None
    error: str = ""
    sent: bool = True
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """A 2xx."""
        return 200 <= self.status < 300

    @property
    def definite(self) -> bool:
        """True when the request was certainly carried out or certainly was not.

        A 5xx or a missing answer says nothing: the write may have landed or may land later.  A 429
        and a connection that was refused were certainly not carried out.
        """
        if self.status == UNKNOWN:
            return not self.sent
        return self.status < 500

    @property
    def reason(self) -> str:
        """The machine-readable `reason` of a `Status` body (`NotFound`, `Invalid`, …), or empty."""
        body = self.body
        if isinstance(body, dict) and body.get("kind") == "Status":
            return str(body.get("reason") or "")
        return ""

    @property
    def message(self) -> str:
        """The best human-readable account of a failure."""
        body = self.body
        if isinstance(body, dict) and body.get("message"):
            return str(body["message"])
        return self.error or f"HTTP {self.status}"


@frozen
class Watch:
    """Wait for the first event of a watch, at most `timeout` seconds; answered by a `WatchEvent` or None.

    None means that nothing happened in the time, or that the watch could not be opened: a watch is a
    hint to look sooner, and the caller must poll regardless.
    """

    resource: Resource
    namespace: str
    resource_version: str
    timeout: float
    label_selector: str = ""
    field_selector: str = ""


@frozen
class WatchEvent:
    """One event of a watch: `type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

    type: str
    object: Json


@frozen
class Sleep:
    """Wait `seconds`."""

    seconds: float


@frozen
class Now:
    """Read the driver's monotonic clock, in seconds.  Clocks of different processes are never compared."""


@frozen
class Random:
    """Draw a float from [0, 1), for jitter."""


@frozen
class Do:
    """Call `function()`, which may block or raise (object storage).  Not for talking to the apiserver.

    `what` names the call in logs and in the simulation's history.
    """

    function: Callable[[], Any]
    what: str = ""


Effect: TypeAlias = Request | Watch | Sleep | Now | Random | Do

T = TypeVar("T")
Op: TypeAlias = Generator[Effect, Any, T]
"""An operation free of I/O that ends with a `T`.  Combine operations with `yield from`."""
