"""Turn an HTTP request into the core's `Request`, unless its URL is one of the few that name no resource."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from typing import Final

from attr import frozen

from kubemr.local.apiserver import errors
from kubemr.local.apiserver.core import ApiServer
from kubemr.local.apiserver.go_json import decode_json, decode_json_exact
from kubemr.local.apiserver.http1 import HttpRequest
from kubemr.local.apiserver.kinds import Kind
from kubemr.locks.effects import JSON, JSON_PATCH, MERGE_PATCH, Json, Request, Resource, Verb

MAX_REQUEST: Final = 3 * 1024 * 1024

_BODY_TYPES: Final = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_VERB_BY_METHOD: Final[Mapping[str, Verb]] = {"POST": "create", "PUT": "replace", "PATCH": "patch", "DELETE": "delete"}
_BUILTIN_GROUPS: Final = ("", "batch", "coordination.k8s.io", "apiextensions.k8s.io")
_NAMESPACE_SUBRESOURCES: Final = ("status", "finalize")


@frozen
class Target:
    """The resource, object or subresource that a URL names."""

    resource: Resource
    namespace: str | None
    name: str | None
    subresource: str | None


def parse_path(path: str) -> Target | None:
    """Return the resource that a URL path names; None for any other path."""
    parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = None
    if rest[0] == "namespaces" and len(rest) >= 3 and not (group == "" and rest[2] in _NAMESPACE_SUBRESOURCES):
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        return None
    plural, name, subresource = (*rest, None, None)[:3]
    return Target(Resource(group, version, plural or ""), namespace, name, subresource)


def to_request(server: ApiServer, target: Target, http: HttpRequest, query: Mapping[str, str]) -> Request:
    """Return the core's request.  Raises an `ApiError` if the body cannot be read."""
    kind = server.kind(target.resource)
    if kind is None or (target.namespace is not None and not kind.resource.namespaced):
        raise errors.no_such_subresource() if target.resource.group in _BUILTIN_GROUPS else errors.no_such_resource()
    if len(http.body) > MAX_REQUEST:
        raise errors.too_large(f"limit is {MAX_REQUEST}")
    content_type = http.headers.get("content-type", "").partition(";")[0].strip() or JSON
    if http.method == "GET":
        verb: Verb = "list" if target.name is None else "get"
        body: Json = None
    else:
        verb = _VERB_BY_METHOD[http.method]
        body = _decode_body(kind, verb, content_type, http.body)
    return Request(verb, target.resource, target.namespace, target.name, target.subresource, query, body, content_type)


def _decode_body(kind: Kind, verb: Verb, content_type: str, data: bytes) -> Json:
    if verb == "patch":
        if content_type not in (JSON_PATCH, MERGE_PATCH):
            return None  # the core rejects the type
        text = _decode_utf8(data)
        try:
            return decode_json_exact(text) if content_type == JSON_PATCH else decode_json(text)
        except json.JSONDecodeError as problem:
            raise errors.bad_request(f"error decoding patch: {_go_problem(problem, text)}") from None
    if verb == "delete" and not data:
        return None
    if content_type != JSON:
        raise errors.unsupported_media_type(_BODY_TYPES)
    text = _decode_utf8(data)
    try:
        return decode_json(text)
    except json.JSONDecodeError as problem:
        what = "couldn't get version/kind; json parse error: " + _go_problem(problem, text)
        shown = text or "<empty>"
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind.name}): {what} ({shown})"
        ) from None


def _decode_utf8(data: bytes) -> str:
    return data.decode("utf-8", "replace")  # as Go: bytes that are not UTF-8 become U+FFFD


def _go_problem(problem: json.JSONDecodeError, text: str) -> str:
    """Return the decoder's error in words close to Go's."""
    if problem.pos >= len(text):
        return "unexpected end of JSON input"
    where = "object key string" if "property name" in problem.msg else "value"
    return f"invalid character '{text[problem.pos]}' looking for beginning of {where}"
