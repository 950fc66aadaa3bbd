"""Answer what a client such as kubectl asks before it asks for objects: versions, groups, resources, health, OpenAPI.

The OpenAPI documents hold no schemas.  They say that writes accept `fieldValidation`, so kubectl leaves the validation
to the server.
"""

from __future__ import annotations

from kubemr.local.apiserver.core import ApiServer
from kubemr.local.apiserver.errors import PAGE_NOT_FOUND
from kubemr.local.apiserver.http1 import answer_bytes, json_bytes
from kubemr.local.apiserver.kinds import Kind
from kubemr.locks.effects import Json

VERSION: Json = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0+kubemr-embedded",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux",
}

_HEALTH = ("/healthz", "/livez", "/readyz")
_DISCOVERY_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def page_not_found() -> bytes:
    """Return the plain-text answer for a URL that names nothing."""
    return answer_bytes(404, (PAGE_NOT_FOUND + "\n").encode(), "text/plain; charset=utf-8")


def answer(server: ApiServer, path: str) -> bytes:
    """Return the whole HTTP answer to a GET of a path that names no resource."""
    path = path.rstrip("/")
    if path in _HEALTH:
        return answer_bytes(200, b"ok", "text/plain; charset=utf-8")
    document = _document(server, path)
    return page_not_found() if document is None else answer_bytes(200, json_bytes(document))


def _document(server: ApiServer, path: str) -> Json:
    if path == "/version":
        return VERSION
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    versions = sorted({(kind.group, kind.resource.version) for kind in server.kinds})
    if path == "/apis":
        groups = [_group(group, versions) for group in dict.fromkeys(group for group, _ in versions) if group]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    paths = {("api/" if not group else f"apis/{group}/") + version: (group, version) for group, version in versions}
    if path == "/openapi/v3":
        return {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}"} for name in paths}}
    if path.startswith("/openapi/v3/") and (found := paths.get(path.removeprefix("/openapi/v3/"))):
        return _openapi(server, *found)
    if found := paths.get(path.removeprefix("/")):
        return _resources(server, *found)
    group = path.removeprefix("/apis/")
    return _group(group, versions) if any(group == name for name, _ in versions) and group else None


def _group(group: str, versions: list[tuple[str, str]]) -> Json:
    served = [{"groupVersion": f"{group}/{v}", "version": v} for name, v in versions if name == group]
    return {"kind": "APIGroup", "apiVersion": "v1", "name": group, "versions": served, "preferredVersion": served[0]}


def _kinds_of_version(server: ApiServer, group: str, version: str) -> list[Kind]:
    return [kind for kind in server.kinds if (kind.group, kind.resource.version) == (group, version)]


def _resources(server: ApiServer, group: str, version: str) -> Json:
    resources: list[Json] = []
    for kind in _kinds_of_version(server, group, version):
        entry: Json = {
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.resource.namespaced,
            "kind": kind.name,
            "verbs": _DISCOVERY_VERBS,
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        resources.append(entry)
        for subresource, present in (("status", kind.status), ("scale", kind.scale)):
            if present:
                part: Json = {
                    "name": f"{kind.plural}/{subresource}",
                    "singularName": "",
                    "verbs": ["get", "patch", "update"],
                }
                part |= {"namespaced": kind.resource.namespaced, "kind": kind.name}
                if subresource == "scale":
                    part |= {"group": "autoscaling", "version": "v1", "kind": "Scale"}
                resources.append(part)
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def _openapi(server: ApiServer, group: str, version: str) -> Json:
    parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    paths = {}
    for kind in _kinds_of_version(server, group, version):
        path = kind.resource.path("{namespace}" if kind.resource.namespaced else None, "{name}")
        meaning = {"group": group, "version": version, "kind": kind.name}
        paths[path] = {"patch": {"parameters": [parameter], "x-kubernetes-group-version-kind": meaning}}
    return {"openapi": "3.0.0", "info": {"title": "kubemr", "version": VERSION["gitVersion"]}, "paths": paths}
