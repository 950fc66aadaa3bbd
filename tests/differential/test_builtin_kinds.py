"""The built-in kinds that kubemr uses: what they default, refuse and drop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from differential.cases import Case, case, config_map, delete, get, merge, op, patch, post, put

# Without a token, the real server adds no volume for it.
POD: dict[str, Any] = {
    "metadata": {"name": "a"},
    "spec": {
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "b"}]}],
    },
}
JOB: dict[str, Any] = {
    "metadata": {"name": "a", "labels": {"l": "m"}},
    "spec": {
        "completionMode": "Indexed",
        "completions": 2,
        "parallelism": 2,
        "backoffLimit": 3,
        "template": {
            "metadata": {"labels": {"t": "u"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
        },
    },
}

RULE: dict[str, Any] = {"apiGroups": [""], "resources": ["pods"], "resourceNames": ["p"], "verbs": ["get"]}
ROLE: dict[str, Any] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"}
SUBJECT: dict[str, Any] = {"kind": "ServiceAccount", "name": "a", "namespace": "{ns}"}

CASES = [
    case(
        "Secret: stringData",
        post("{secrets}", {"metadata": {"name": "a"}, "stringData": {"a": "b"}, "data": {"c": "ZA=="}}),
        get("{secrets}/a"),
        merge("{secrets}/a", {"stringData": {"a": "x"}}),
    ),
    case(
        "Secret: mistakes",
        post("{secrets}", {"metadata": {"name": "a"}, "data": {"a": "!!"}}),
        post("{secrets}", {"metadata": {"name": "a"}, "data": {"a b": "ZA=="}}),
        post("{secrets}", {"metadata": {"name": "a"}, "data": {"a": 5}}),
    ),
    case(
        "Secret: the type stays",
        post("{secrets}", {"metadata": {"name": "a"}, "type": "kubemr.dev/keys"}),
        merge("{secrets}/a", {"type": "Opaque"}),
        get("{secrets}?fieldSelector=type%3Dkubemr.dev%2Fkeys"),
        delete("{secrets}/a"),
    ),
    case(
        "Lease: the life of one",
        post("{leases}", {"metadata": {"name": "a"}, "spec": {"leaseDurationSeconds": 15}}),
        patch("{leases}/a", op("test", "/spec/holderIdentity", None), op("add", "/spec/holderIdentity", "w0-abc123")),
        patch("{leases}/a", op("test", "/spec/holderIdentity", None), op("add", "/spec/holderIdentity", "w0-zzz")),
        patch(
            "{leases}/a",
            op("test", "/spec/holderIdentity", "w0-abc123"),
            op("add", "/spec/renewTime", "2026-01-01T00:00:00.000000Z"),
        ),
        patch(
            "{leases}/a",
            op("test", "/spec/holderIdentity", "w0-abc123"),
            op("replace", "/spec/renewTime", "2026-01-01T00:00:01.000000Z"),
        ),
        get("{leases}/a"),
        delete("{leases}/a"),
    ),
    case(
        "Lease: empty",
        post("{leases}", {"metadata": {"name": "a"}}),
        merge("{leases}/a", {"spec": {"holderIdentity": ""}}),
        merge("{leases}/a", {"spec": None}),
    ),
    case(
        "Lease: mistakes",
        *(
            post("{leases}", {"metadata": {"name": "a"}, "spec": spec})
            for spec in (
                {"leaseDurationSeconds": 0},
                {"leaseDurationSeconds": "x"},
                {"leaseTransitions": -1},
                {"renewTime": "2026-01-01T00:00:00Z"},
                {"renewTime": 5},
                {"holderIdentity": 5},
                {"bogus": 1, "leaseDurationSeconds": 1},
            )
        ),
    ),
    case(
        "Lease: mistakes in a patch",
        post("{leases}", {"metadata": {"name": "a"}}),
        patch("{leases}/a", op("add", "/spec/leaseDurationSeconds", -1)),
        patch("{leases}/a", op("add", "/spec/leaseDurationSeconds", "x")),
        patch("{leases}/a", op("add", "/spec/renewTime", "2026-01-01T00:00:00Z")),
    ),
    case(
        "Lease: made by PUT",
        put("{leases}/a", {"metadata": {"name": "a"}, "spec": {"leaseDurationSeconds": 0}}),
        put("{leases}/a", {"metadata": {"name": "a"}}, save="a"),
        put("{leases}/a", {"metadata": {"name": "a"}}),
        put("{leases}/a", {"metadata": {"name": "a", "resourceVersion": "{a.rv}"}, "spec": {"holderIdentity": "x"}}),
    ),
    case(
        "ServiceAccount",
        post("{accounts}", {"metadata": {"name": "a"}}),
        merge("{accounts}/a", {"automountServiceAccountToken": False}),
        delete("{accounts}/a"),
        get("{accounts}/a"),
    ),
    case(
        "Role and RoleBinding",
        post("{roles}", {"metadata": {"name": "a"}, "rules": [RULE]}),
        patch("{roles}/a", op("test", "/rules", [RULE]), op("replace", "/rules", [RULE, RULE])),
        get("{roles}/a"),
        post("{bindings}", {"metadata": {"name": "a"}, "roleRef": ROLE, "subjects": [SUBJECT]}),
        get("{bindings}/a"),
        delete("{bindings}/a"),
        delete("{roles}/a"),
        get("{roles}/a"),
    ),
    case(
        "Event",
        post(
            "{events}",
            {
                "metadata": {"name": "a"},
                "involvedObject": {"kind": "MapReduceJob", "namespace": "{ns}", "name": "x"},
                "reason": "Deployed",
                "message": "m",
                "type": "Normal",
                "count": 1,
            },
        ),
        post(
            "{events}",
            {"metadata": {"name": "b"}, "involvedObject": {"kind": "Pod", "namespace": "other", "name": "x"}},
        ),
        get("{events}?fieldSelector=involvedObject.name%3Dx"),
        get("{events}?fieldSelector=reason%3Dnope"),
        delete("{events}/a"),
    ),
    case(
        "Pod: the life of one",
        post("{accounts}", {"metadata": {"name": "default"}}),
        post("{pods}", POD),
        merge("{pods}/a/status", {"status": {"phase": "Running"}}),
        get("{pods}?fieldSelector=status.phase%3DRunning"),
        get("{pods}?fieldSelector=status.phase!%3DRunning"),
        merge("{pods}/a/status", {"status": {"phase": "Succeeded"}, "metadata": {"labels": {"a": "b"}}}),
        delete("{pods}/a"),
        get("{pods}/a"),
    ),
    case(
        "Pod: on a node",
        post("{accounts}", {"metadata": {"name": "default"}}),
        post("{pods}", {**POD, "spec": {**POD["spec"], "nodeName": "n1"}}),
        delete("{pods}/a"),
        delete("{pods}/a"),
        get("{pods}/a"),
        delete("{pods}/a", {"gracePeriodSeconds": 0}),
        get("{pods}/a"),
    ),
    case(
        "Pod: mistakes",
        post("{accounts}", {"metadata": {"name": "default"}}),
        post("{pods}", {"metadata": {"name": "a"}, "spec": {"automountServiceAccountToken": False, "containers": []}}),
        post(
            "{pods}",
            {"metadata": {"name": "a"}, "spec": {"automountServiceAccountToken": False, "containers": [{"name": "c"}]}},
        ),
    ),
    case(
        "Job: the life of one",
        post("{jobs}", JOB),
        get("{jobs}/a"),
        merge("{jobs}/a/status", {"status": {"active": 2, "startTime": "2026-01-01T00:00:00Z"}}),
        merge("{jobs}/a", {"spec": {"parallelism": 3}}),
        merge("{jobs}/a", {"metadata": {"labels": {"x": "y"}}}),
        delete("{jobs}/a", {"propagationPolicy": "Background"}),
        get("{jobs}/a"),
    ),
    case("Job: without a policy its pods are orphaned", post("{jobs}", JOB), delete("{jobs}/a"), get("{jobs}/a")),
    case(
        "Job: mistakes",
        post(
            "{jobs}",
            {"metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}},
        ),
        post("{jobs}", {"metadata": {"name": "a"}, "spec": {**JOB["spec"], "backoffLimit": -1}}),
    ),
    case(
        "Job: of little",
        post(
            "{jobs}",
            {
                "metadata": {"name": "a"},
                "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}},
            },
        ),
    ),
    case(
        "Namespace",
        post("/api/v1/namespaces", {"metadata": {"name": "{ns}-b"}}),
        get("/api/v1/namespaces/{ns}-b"),
        post("/api/v1/namespaces", {"metadata": {"name": "a.b"}}),
        delete("/api/v1/namespaces/{ns}-b"),
        post("/api/v1/namespaces/{ns}-b/configmaps", config_map("a")),
        get("/api/v1/namespaces/{ns}-b"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_answers_are_equal(case: Case, compare: Callable[[Case], None]) -> None:
    """A built-in object is stored the same, or refused in the same words."""
    compare(case)
