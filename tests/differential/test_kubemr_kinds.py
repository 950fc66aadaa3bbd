"""kubemr's own kinds, with their schemas and rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from differential.cases import Case, case, get, merge, op, patch, post

JOB: dict[str, Any] = {
    "apiVersion": "turbobytes.com/v1alpha1",
    "kind": "MapReduceJob",
    "metadata": {"generateName": "test-"},
    "spec": {
        "image": "turbobytes/kubemr-wordcount",
        "replicas": 10,
        "inputs": ["https://tools.ietf.org/rfc/rfc4501.txt", "https://tools.ietf.org/rfc/rfc2017.txt"],
    },
}
NAMED: dict[str, Any] = {**JOB, "metadata": {"name": "a"}}
SHARD: dict[str, Any] = {
    "apiVersion": "turbobytes.com/v1alpha1",
    "kind": "MapReduceTaskShard",
    "metadata": {"name": "a", "labels": {"kubemr.turbobytes.com/tasks": "open"}},
    "tasks": {"0": "pending/1/0/0/", "1": "pending/1/0/0/"},
}
TOGETHER: dict[str, Any] = {**SHARD, "tasks": {"0-1": "pending/1/0/0/"}}

CASES = [
    case(
        "the first kubemr's manifest", post("{mrj}", JOB, save="a"), get("{mrj}/{a.name}"), get("{mrj}/{a.name}/scale")
    ),
    case(
        "a job's life",
        post("{mrj}", NAMED),
        merge("{mrj}/a/status", {"status": {"phase": "PENDING"}}),
        patch("{mrj}/a/status", op("test", "/status/phase", "PENDING"), op("replace", "/status/phase", "DEPLOYING")),
        patch("{mrj}/a/status", op("test", "/status/phase", "PENDING"), op("replace", "/status/phase", "DEPLOYING")),
        merge("{mrj}/a/scale", {"spec": {"replicas": 3}}),
        get("{mrj}/a"),
    ),
    case("a phase that is none", post("{mrj}", NAMED), merge("{mrj}/a/status", {"status": {"phase": "DONE"}})),
    case(
        "an unknown field", post("{mrj}?fieldValidation=Strict", {**NAMED, "spec": {**NAMED["spec"], "replicass": 3}})
    ),
    case(
        "a shard's life",
        post("{mrts}", SHARD),
        patch(
            "{mrts}/a?fieldManager=kubemr",
            op("test", "/tasks/0", "pending/1/0/0/"),
            op("replace", "/tasks/0", "running/1/0/0/w7-k2p4x9"),
        ),
        patch(
            "{mrts}/a?fieldManager=kubemr",
            op("test", "/tasks/0", "pending/1/0/0/"),
            op("replace", "/tasks/0", "running/1/0/0/w8-k2p4x9"),
        ),
        patch(
            "{mrts}/a?fieldManager=kubemr",
            op("test", "/tasks/0", "running/1/0/0/w7-k2p4x9"),
            op("replace", "/tasks/0", "done/1/0/0/w7-k2p4x9"),
            op("test", "/tasks/1", "pending/1/0/0/"),
            op("replace", "/tasks/1", "running/1/0/0/w7-k2p4x9"),
            op("replace", "/metadata/labels/kubemr.turbobytes.com~1tasks", "drained"),
        ),
        get("{mrts}/a"),
    ),
    case(
        "the life of a shard with one entry",
        post("{mrts}", TOGETHER),
        patch(
            "{mrts}/a?fieldManager=kubemr",
            op("test", "/tasks", {"0-1": "pending/1/0/0/"}),
            op("replace", "/tasks", {"0-1": "running/1/0/0/w7-k2p4x9"}),
        ),
        patch(
            "{mrts}/a?fieldManager=kubemr",
            op("test", "/tasks/0-1", "pending/1/0/0/"),
            op("replace", "/tasks/0-1", "running/1/0/0/w8-k2p4x9"),
        ),
        patch(
            "{mrts}/a?fieldManager=kubemr",
            op("test", "/tasks/0-1", "running/1/0/0/w7-k2p4x9"),
            op("replace", "/tasks/0-1", "pending/2/0/1/"),
        ),
        patch(
            "{mrts}/a?fieldManager=kubemr",
            op("test", "/tasks", {"0-1": "pending/2/0/1/"}),
            op("replace", "/tasks", {"0": "pending/2/0/1/", "1": "running/2/0/1/w7-k2p4x9"}),
        ),
        patch(
            "{mrts}/a?fieldManager=kubemr",
            op("test", "/tasks/0-1", "pending/2/0/1/"),
            op("replace", "/tasks/0-1", "running/2/0/1/w8-k2p4x9"),
        ),
        patch(
            "{mrts}/a?fieldManager=kubemr",
            op("test", "/tasks", {"0-1": "pending/2/0/1/"}),
            op("replace", "/tasks", {"0-1": "running/2/0/1/w8-k2p4x9"}),
        ),
        get("{mrts}/a"),
    ),
    case(
        "a shard with one entry of a state that is none",
        post("{mrts}", TOGETHER),
        patch("{mrts}/a", op("replace", "/tasks/0-1", "sleeping/1/0/0/")),
        patch("{mrts}/a", op("replace", "/tasks", {"0-1": "sleeping/1/0/0/"})),
    ),
    case(
        "a shard with a state that is none",
        post("{mrts}", SHARD),
        patch("{mrts}/a", op("replace", "/tasks/0", "sleeping/1/0/0/")),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_answers_are_equal(case: Case, compare: Callable[[Case], None]) -> None:
    """A job or shard is stored the same, or refused."""
    compare(case)
