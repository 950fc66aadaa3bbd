"""The embedded apiserver without its network: it takes requests and returns answers.

`ApiServer` is synchronous and deterministic.  It has no thread, socket or clock: the caller passes time, uids and name
suffixes.  One revision counter orders all writes and is every object's `resourceVersion`.  A bounded history of changes
serves watches, exact lists and continue tokens; for what is older, the answer is 410, as in a real cluster.

Documents in answers, events and lists are shared with the store and with each other: callers must not change them.
Documents in requests are not changed, but may be shared afterwards.

`docs/embedded-apiserver.md` describes what the server supports and what not.  The tests in `tests/differential` compare
it with the real kube-apiserver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from kubemr.local.apiserver import create, delete, errors, garbage_collector, lists, options, scale_subresource, update
from kubemr.local.apiserver.custom_resources import CRD_GROUP, Rules
from kubemr.local.apiserver.errors import ApiError
from kubemr.local.apiserver.kinds import Kind
from kubemr.local.apiserver.state import Sources, State
from kubemr.local.apiserver.store import Store
from kubemr.local.apiserver.watch import Subscription
from kubemr.locks.effects import Answer, Json, Request, Resource

HISTORY: Final = 10_000
"""How many changes of each kind are kept, at least, for watches and old lists."""

_DEFINITION_RESOURCE: Final = Resource(CRD_GROUP, "v1", "customresourcedefinitions", False)
_NAMESPACE_RESOURCE: Final = Resource("", "v1", "namespaces", False)


class ApiServer:
    """An apiserver in memory.

    - `clock` returns seconds since 1970, `uids` a new uid, `suffixes` five characters for a `generateName`.
    - `definitions` are custom resource definitions that exist from the start; `namespaces` are likewise namespaces.
    - `rules` replace the CEL rules of definitions, by group and kind: functions of an object and the one before.
    - `history` bounds how many changes of each kind are kept.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        uids: Callable[[], str],
        suffixes: Callable[[], str],
        definitions: Iterable[Json] = (),
        rules: Mapping[tuple[str, str], Rules] = MappingProxyType({}),
        namespaces: Iterable[str] = ("default",),
        history: int = HISTORY,
    ) -> None:
        self._state = State(Sources(clock, uids, suffixes), Store(history), dict(rules))
        for name in namespaces:
            self._create(Request("create", _NAMESPACE_RESOURCE, body={"metadata": {"name": name}}))
        for definition in definitions:
            self._create(Request("create", _DEFINITION_RESOURCE, body=definition))

    def _create(self, request: Request) -> None:
        answer = self.handle(request)
        if not answer.ok:
            raise ValueError(f"{request.resource.plural} {request.body!r}: {answer.message}")

    @property
    def revision(self) -> int:
        """The newest resourceVersion."""
        return self._state.store.revision

    @property
    def kinds(self) -> Iterable[Kind]:
        """The served kinds, for discovery."""
        return self._state.kinds.values()

    def kind(self, resource: Resource) -> Kind | None:
        """Return the kind that is served at a resource's URL, or None."""
        return self._state.kinds.get((resource.group, resource.version, resource.plural))

    def handle(self, request: Request) -> Answer:
        """Carry out one request."""
        try:
            return self._handle(request)
        except ApiError as error:
            return error.answer()

    def _handle(self, request: Request) -> Answer:
        state = self._state
        kind = state.kind(request.resource)
        namespace, name, verb = request.namespace, request.name, request.verb
        self._check_subresource(kind, request)
        if verb == "create":
            if kind.resource.namespaced and namespace is None:
                raise errors.method_not_allowed(verb)
            return create.create(state, kind, namespace, request.body, request.query)
        if verb == "list":
            return lists.list_objects(state, kind, namespace, request.query)
        if name is None:
            if verb == "delete":
                if kind.resource.namespaced and namespace is None:
                    raise errors.method_not_allowed(verb)
                return delete.delete_collection(state, kind, namespace, request.body, request.query)
            raise errors.bad_request("name must be provided") if kind.custom else errors.method_not_allowed(verb)
        if verb == "delete":
            return delete.delete(state, kind, namespace, name, request.body, request.query)
        if request.subresource == "scale":
            return (
                scale_subresource.read(state, kind, request)
                if verb == "get"
                else scale_subresource.write(state, kind, request)
            )
        if verb == "get":
            return self._get(kind, request, name)
        return (update.patch if verb == "patch" else update.replace)(state, kind, request)

    def _get(self, kind: Kind, request: Request, name: str) -> Answer:
        requested = options.resource_version(request.query.get("resourceVersion", ""))
        if requested is not None and requested > self.revision:
            raise errors.too_new(requested, self.revision)
        return Answer(200, self._state.existing(kind, request.namespace, name))

    def _check_subresource(self, kind: Kind, request: Request) -> None:
        subresource = request.subresource
        if subresource is None or (subresource == "status" and kind.status) or (subresource == "scale" and kind.scale):
            return
        if kind.custom:
            raise errors.not_found(kind.group, kind.plural, request.name or "")
        raise errors.no_such_subresource()

    def stale_list(self, request: Request, revision: int) -> Answer:
        """Return a list as it would have been answered at `revision`, as a lagging watch cache may do.

        Such a list is a legal answer to a request with `resourceVersion="0"` (or any N up to `revision`).
        """
        try:
            kind = self._state.kind(request.resource)
            return lists.list_at(self._state, kind, request.namespace, request.query, revision)
        except ApiError as error:
            return error.answer()

    def subscribe(
        self,
        resource: Resource,
        namespace: str | None = None,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        bookmarks: bool = False,
        send_initial_events: bool | None = None,
    ) -> Subscription | Answer:
        """Watch a collection.  An `Answer` rejects the request itself.

        If the resourceVersion is too old, the stream opens, as with the real server, and holds one ERROR event with a
        `Status` of code 410.  Without a version, or with "0", the present objects come first.
        """
        try:
            kind = self._state.kind(resource)
            return lists.subscribe(
                self._state,
                kind,
                namespace,
                resource_version,
                label_selector,
                field_selector,
                bookmarks,
                send_initial_events,
            )
        except ApiError as error:
            return error.answer()

    def compact(self, revision: int | None = None) -> None:
        """Forget the history up to `revision` (default: all of it)."""
        self._state.store.compact(self.revision if revision is None else revision)

    def collect_garbage(self) -> int:
        """Run the garbage collector and the namespace controller once, and return the number of writes."""
        return garbage_collector.collect(self._state)
