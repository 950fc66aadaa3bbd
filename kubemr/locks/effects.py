"""The effects that an operation requests from the outside world, and the answers to them.

Every operation is a generator: it *yields* one of the effects below, and the driver *sends* the answer.
It never opens a socket, reads a clock or sleeps by itself.
So the same code runs in plain threads (workers), under asyncio (the operator) and in the simulation.
The simulation runs many operations step by step, in any order that a seed chooses, against an apiserver in memory.

==============  =========================================  ==========================
effect          what the driver does                       what it sends back
==============  =========================================  ==========================
`Request`       one HTTP exchange with the apiserver       `Answer`
`Watch`         waits for the first event of a watch       `WatchEvent` or None
`Sleep`         waits (seconds)                            None
`Now`           reads its monotonic clock                  float, seconds
`Random`        returns a random number from [0, 1)        float
`Do`            calls a function that may block (storage)  its return value
==============  =========================================  ==========================

- A driver raises what `Do` raises *inside* the generator.
- It never raises for an HTTP status: a refused request is an `Answer` like any other.
- It never repeats a request: only the operation knows whether a request may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, Literal, TypeAlias, TypeVar

from attr import field, frozen

Json: TypeAlias = Any
"""A decoded JSON document; objects of the apiserver are nested dicts and lists."""

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
    """A kind of object, as it stands in the apiserver's URLs, e.g. `Resource("batch", "v1", "jobs")`.

    `group` is empty for the core group (pods, secrets, …).
    """

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the URL path; without `namespace`, that of the collection across all namespaces."""
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

    `query` has the URL's parameters (`labelSelector`, `limit`, `fieldManager`, …).
    `body` is the JSON document to send, and `content_type` its type.
    `timeout` is in seconds, or None for the driver's default.
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
    """The answer to a request: an HTTP status and the decoded JSON body.

    `status` is `UNKNOWN` (0) if the connection broke or timed out before an answer; `error` then has the cause.
    `sent` is False if the request was certainly not sent (connection refused, DNS), so that nothing was written.
    `retry_after` is the header of that name, in seconds.
    """

    status: int
    body: Json = None
    error: str = ""
    sent: bool = True
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """True if the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def definite(self) -> bool:
        """True if it is certain whether the request was carried out.

        After a 5xx or without an answer, a write may have been carried out, or may be later.
        After a 429 or a refused connection, it certainly was not carried out.
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
        """The best description of a failure, for people."""
        body = self.body
        if isinstance(body, dict) and body.get("message"):
            return str(body["message"])
        return self.error or f"HTTP {self.status}"


@frozen
class Watch:
    """Wait for the first event of a watch, at most `timeout` seconds; the answer is a `WatchEvent` or None.

    None means that no event arrived in the time, or that the watch could not be opened.
    A watch is a hint to read again earlier, so the caller must poll anyway.
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
    """Read the driver's monotonic clock, in seconds.

    Clocks of different processes are never compared.
    """


@frozen
class Random:
    """Return a random number from [0, 1), for jitter."""


@frozen
class Do:
    """Call `function()`, which may block or raise, such as a function of an object store.

    The function must not send requests to the apiserver.
    `what` names the call in logs and in the simulation's history.
    """

    function: Callable[[], Any]
    what: str = ""


Effect: TypeAlias = Request | Watch | Sleep | Now | Random | Do

T = TypeVar("T")
Op: TypeAlias = Generator[Effect, Any, T]
"""An operation without I/O that returns a `T`; combine operations with `yield from`."""
