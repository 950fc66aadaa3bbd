"""A user's own custom resource: `gadgets.example.com`, whose objects have a free-form root and a status subresource."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path

import yaml

from kubemr.locks import HttpTransport, Request, Resource, Target
from kubemr.locks.effects import Json

CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False)
NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)
GADGETS = Resource("example.com", "v1", "gadgets")
LEASES = Resource("coordination.k8s.io", "v1", "leases")

CRD: Json = yaml.safe_load((Path(__file__).parents[2] / "examples" / "lock_worker" / "crd.yaml").read_text())
"""The definition that the example comes with."""


class Gadgets:
    """Makes and reads gadgets in a namespace of its own."""

    def __init__(self, transport: HttpTransport, namespace: str) -> None:
        self.transport = transport
        self.namespace = namespace

    def create(
        self, resource: Resource = GADGETS, subresource: str | None = None, name: str = "", **fields: Json
    ) -> Target:
        """A new object with a name of its own; `fields` are its top-level ones."""
        name = name or "g-" + secrets.token_hex(4)
        kinds = {GADGETS: ("example.com/v1", "Gadget"), LEASES: ("coordination.k8s.io/v1", "Lease")}
        version, kind = kinds[resource]
        body = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **fields}
        answer = self.transport.send(Request("create", resource, self.namespace, body=body))
        assert answer.status == 201, answer
        return Target(resource, self.namespace, name, subresource)

    def get(self, target: Target) -> Json:
        """The object as it is."""
        answer = self.transport.send(target.get())
        assert answer.ok, answer
        return answer.body

    def patch(self, target: Target, *operations: dict[str, Json]) -> Json:
        """A JSON Patch by somebody who does not use the library."""
        request = Request(
            "patch",
            target.resource,
            target.namespace,
            target.name,
            target.subresource,
            body=list(operations),
            content_type="application/json-patch+json",
        )
        answer = self.transport.send(request)
        assert answer.ok, answer
        return answer.body

    def delete(self, target: Target) -> None:
        """Remove it."""
        answer = self.transport.send(Request("delete", target.resource, target.namespace, target.name))
        assert answer.ok, answer


def define_gadgets(transport: HttpTransport) -> Gadgets:
    """Install the resource unless the server was born with it, wait until it is served, and make a namespace."""
    if not transport.send(Request("list", GADGETS)).ok:
        answer = transport.send(Request("create", CRDS, body=CRD))
        assert answer.status in (201, 409), answer
    for _ in range(200):
        if transport.send(Request("list", GADGETS)).ok:
            break
        threading.Event().wait(0.05)  # a real server needs a moment to serve a new resource, and has no event for it
    name = "locks-" + secrets.token_hex(4)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    answer = transport.send(Request("create", NAMESPACES, body=namespace))
    assert answer.status == 201, answer
    return Gadgets(transport, name)
