"""What a cluster's administrator adds to the objects of a namespace, so that their users' manifests stay as they are.

`mutating` is any MutatingAdmissionPolicy.  `stand_in` is one for pods: without a registry and the world outside, three
things are made up for, as administrators do it where there is a mirror and a proxy: images are taken from the node, a
host has another address, and its certificate another authority.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from support.cluster_access import ClusterAccess, KubectlError

GROUP = "admissionregistration.k8s.io"
TRUSTED = "/e2e/ca.crt"
INDEX = "batch.kubernetes.io/job-completion-index"
"""The label of an Indexed Job's pods."""


@contextmanager
def stand_in(cluster: ClusterAccess, namespace: str, host: str, address: str, ca: str, *also: str) -> Iterator[None]:
    """In the block, new pods of `namespace` find `host` at `address` and trust `ca` (PEM).

    `also` are further expressions that give lists of JSONPatch.
    """
    container = "/spec/containers/0"
    patches = [
        patch("replace", f"{container}/imagePullPolicy", "IfNotPresent"),
        patch("add", "/spec/hostAliases", [{"ip": address, "hostnames": [host]}]),
        patch("add", "/spec/volumes/-", {"name": "e2e", "configMap": {"name": "e2e-ca"}}),
        patch("add", f"{container}/volumeMounts/-", {"name": "e2e", "mountPath": "/e2e"}),
        patch("add", f"{container}/env/-", {"name": "SSL_CERT_FILE", "value": TRUSTED}),
    ]
    metadata = {"name": "e2e-ca", "namespace": namespace}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": ca}})
    resource = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    # Not the pods without environment: those that tests run beside the job's.
    match = "has(object.spec.containers[0].env)"
    probe = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "labels": {INDEX: "0"}},
        "spec": {"containers": [{"name": "main", "image": "none", "env": [{"name": "A", "value": "B"}]}]},
    }
    expression = " + ".join([f"[{', '.join(patches)}]", *also])
    with mutating(
        cluster, namespace, resource, match, expression, probe, lambda made: bool(made["spec"].get("hostAliases"))
    ):
        yield


@contextmanager
def mutating(
    cluster: ClusterAccess,
    namespace: str,
    resource: Mapping[str, Any],
    match: str,
    expression: str,
    probe: Mapping[str, Any],
    changed: Callable[[Any], bool],
) -> Iterator[None]:
    """In the block, what `resource` names and `match` chooses in `namespace` is changed by a list of JSONPatch.

    A dry run of `probe` tells when the policy is in force: when what was made of it is `changed`.
    """
    policy = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [resource],
            },
            "matchConditions": [{"name": "chosen", "expression": match}],
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    }
    binding = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": namespace},
        "spec": {"policyName": namespace},
    }
    cluster.apply(policy, binding)
    try:
        _wait_until_in_force(cluster, namespace, probe, changed)
        yield
    finally:
        kinds = f"mutatingadmissionpolicybindings.{GROUP},mutatingadmissionpolicies.{GROUP}"
        cluster.kubectl("delete", kinds, namespace)


def patch(op: str, path: str, value: Any) -> str:
    """An operation of a JSON Patch, as CEL."""
    return f"JSONPatch{{op: {json.dumps(op)}, path: {json.dumps(path)}, value: {_cel(value)}}}"


def _cel(value: Any) -> str:
    """A value of JSON: lists and maps in CEL are of one type, so what is in them is of none in particular."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)}: dyn({_cel(each)})" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(f"dyn({_cel(each)})" for each in value) + "]"
        case _:
            return json.dumps(value)


def _wait_until_in_force(
    cluster: ClusterAccess, namespace: str, probe: Mapping[str, Any], changed: Callable[[Any], bool]
) -> None:
    """The apiserver compiles policies a moment after they are there."""
    end = time.monotonic() + 30
    arguments = ("-n", namespace, "create", "--dry-run=server", "-o", "json", "-f", "-")
    while True:
        try:
            if changed(json.loads(cluster.kubectl(*arguments, stdin=json.dumps(probe)))):
                return
        except KubectlError:
            pass  # the namespace's account may not be there yet
        assert time.monotonic() < end, f"the policy {namespace} is not in force after 30 s"
        time.sleep(0.1)
