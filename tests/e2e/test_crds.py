"""The generated CRDs on a real apiserver: it accepts them, and refuses what our own code refuses.

What `structural` and `rules` say in the apiserver's words is compared with the apiserver's own words.
"""

from __future__ import annotations

import copy
import json
import re
import ssl
import urllib.request
from typing import Any

import pytest

from kubemr.resources import crd, schema, with_defaults
from kubemr.resources.cel_evaluation import check_rules
from kubemr.resources.definitions.objects import KINDS
from kubemr.resources.structural_schema import BLOCKING, check, prune
from support.controlplane import ApiServer, Reply
from support.jobs import EXAMPLES, example
from support.mistake import Mistake
from support.mistakes import MISTAKES

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
REFUSED = tuple(mistake for mistake in MISTAKES if mistake.by != "beyond")
PASSED = tuple(mistake for mistake in MISTAKES if mistake.by == "beyond" and mistake.path.startswith("spec"))


class Jobs:
    """MapReduceJobs and MapReduceTaskShards in one namespace of the apiserver."""

    def __init__(self, apiserver: ApiServer, namespace: str) -> None:
        self._apiserver = apiserver
        self._base = f"/apis/turbobytes.com/v1alpha1/namespaces/{namespace}"

    def create(self, document: Any, plural: str = "mapreducejobs") -> Reply:
        """As `kubectl create` does it, unknown fields refused."""
        return self._apiserver.request("POST", f"{self._base}/{plural}?fieldValidation=Strict", document)

    def created(self, name: str) -> Any:
        """One of the examples, created."""
        reply = self.create(example(name))
        assert reply.status == 201, reply.body
        return reply.body

    def replace(self, document: Any, subresource: str = "", plural: str = "mapreducejobs") -> Reply:
        """A PUT of the whole object."""
        path = f"{self._base}/{plural}/{document['metadata']['name']}{subresource}"
        return self._apiserver.request("PUT", path, document)

    def patch(self, document: Any, patch: list[Any], subresource: str = "", plural: str = "mapreducejobs") -> Reply:
        """A JSON Patch."""
        path = f"{self._base}/{plural}/{document['metadata']['name']}{subresource}"
        return self._apiserver.request("PATCH", path, patch, "application/json-patch+json")

    def get(self, document: Any, subresource: str = "") -> Reply:
        """The object, or a subresource of it."""
        return self._apiserver.request("GET", f"{self._base}/mapreducejobs/{document['metadata']['name']}{subresource}")


@pytest.fixture(scope="module")
def installed(apiserver: ApiServer) -> ApiServer:
    """The apiserver with the CRDs established."""
    for kind in KINDS:
        document = crd(kind)
        path = f"{CRDS}/{document['metadata']['name']}?fieldManager=test&force=true"
        reply = apiserver.request("PATCH", path, document, "application/apply-patch+yaml")
        assert reply.status in (200, 201), reply.body
        _established(apiserver, document["metadata"]["name"])
    return apiserver


def _established(apiserver: ApiServer, name: str) -> None:
    """Watch the CRD until it is served."""
    url = f"{apiserver.url}{CRDS}?watch=true&timeoutSeconds=30&fieldSelector=metadata.name={name}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {apiserver.token}"})
    tls = ssl.create_default_context(cafile=str(apiserver.ca_file))
    with urllib.request.urlopen(request, context=tls, timeout=60) as events:
        for line in events:
            conditions = json.loads(line)["object"].get("status", {}).get("conditions") or ()
            if any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
                return
    raise AssertionError(f"{name} was not established within 30 seconds")


@pytest.fixture
def jobs(installed: ApiServer, namespace: str) -> Jobs:
    """An empty namespace for jobs."""
    return Jobs(installed, namespace)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_accepted_with_our_defaults(jobs: Jobs, name: str) -> None:
    """Every form of the API is accepted, and the apiserver fills in what `with_defaults` fills in."""
    assert jobs.created(name)["spec"] == with_defaults(example(name))["spec"]


@pytest.mark.parametrize("mistake", REFUSED, ids=lambda mistake: mistake.name)
def test_mistakes_are_refused_at_create(jobs: Jobs, mistake: Mistake) -> None:
    """What schema and rules are meant to refuse, the apiserver refuses, naming the same field."""
    reply = jobs.create(mistake.job)
    assert reply.status in (400, 422), reply.body
    assert mistake.path in reply.body["message"]


@pytest.mark.parametrize("mistake", REFUSED, ids=lambda mistake: mistake.name)
def test_our_words_are_the_apiservers(jobs: Jobs, mistake: Mistake) -> None:
    """`structural` and `rules` find what the apiserver finds, in the same words."""
    job = mistake.job
    unknown = prune(job, schema("MapReduceJob"))
    reply = jobs.create(mistake.job)
    if unknown:
        assert reply.status == 400
        assert [f'unknown field "{path}"' in reply.body["message"] for path in unknown] == [True] * len(unknown)
        return
    ours = check(with_defaults(job), schema("MapReduceJob"))
    if not any(error.kind in BLOCKING for error in ours):
        ours += check_rules(with_defaults(job), "MapReduceJob")
    theirs = [cause for cause in reply.body["details"]["causes"] if not _of_scale_or_skipped(cause)]
    key = lambda cause: (cause["field"], cause["message"])  # noqa: E731
    assert sorted((error.cause() for error in ours), key=key) == sorted(theirs, key=key)


def _of_scale_or_skipped(cause: dict[str, str]) -> bool:
    """What the apiserver adds: its look at spec.replicas for /scale, and that it left out the rules."""
    return cause["field"].startswith(".") or "some validation rules were not checked" in cause["message"]


@pytest.mark.parametrize("mistake", PASSED, ids=lambda mistake: mistake.name)
def test_the_rest_is_really_beyond_the_schema(jobs: Jobs, mistake: Mistake) -> None:
    """Nothing in `beyond` repeats the schema: the apiserver takes these jobs.  (Kind, version and name are its own.)"""
    reply = jobs.create(mistake.job)
    assert reply.status == 201, reply.body


ALLOWED: tuple[tuple[str, object], ...] = (
    ("replicas", 3),
    ("suspend", True),
    ("restarts", 2),
    ("ttlSecondsAfterFinished", 1),
    ("ttlSecondsAfterFinished", None),
    ("activeDeadlineSeconds", 1),
    ("activeDeadlineSeconds", None),
)

FORBIDDEN: tuple[tuple[str, object], ...] = (
    ("image", "another"),
    ("inputs", ["another"]),
    ("partitions", 3),
    ("jobargs", {"language": "de"}),
    ("jobargs", None),
    ("storage", {"retentionPolicy": "All"}),
    ("files", []),
    ("maxAttempts", 5),
    ("taskTimeoutSeconds", 5),
    ("resources", {"requests": {"cpu": "2"}}),
    ("resources", None),
    ("template", {"spec": {"tolerations": []}}),
    ("template", None),
)

WITH_RESTART = ("maxAttempts", "taskTimeoutSeconds", "resources", "template")


def _changed(job: Any, key: str, value: object) -> Any:
    job = copy.deepcopy(job)
    if value is None:
        del job["spec"][key]
    else:
        job["spec"][key] = value
    return job


@pytest.mark.parametrize(("key", "value"), ALLOWED)
def test_what_may_change(jobs: Jobs, key: str, value: object) -> None:
    """A running job can be scaled, suspended, retried, and given other limits of time."""
    old = jobs.created("image")
    new = _changed(old, key, value)
    assert jobs.replace(new).status == 200
    assert check_rules(new, "MapReduceJob", old) == []


@pytest.mark.parametrize(("key", "value"), FORBIDDEN)
def test_what_may_not_change(jobs: Jobs, key: str, value: object) -> None:
    """All else is fixed at creation; the refusal names the field, and ours is the same."""
    old = jobs.created("image")
    new = _changed(old, key, value)
    reply = jobs.replace(new)
    assert reply.status == 422, reply.body
    (cause,) = reply.body["details"]["causes"]
    assert cause["field"] == f"spec.{key}"
    assert [error.cause() for error in check_rules(with_defaults(new), "MapReduceJob", old)] == [cause]


@pytest.mark.parametrize(("key", "value"), [one for one in FORBIDDEN if one[0] in WITH_RESTART])
def test_what_may_change_with_a_retry(jobs: Jobs, key: str, value: object) -> None:
    """A retry may be given more attempts, time or memory."""
    old = jobs.created("image")
    new = _changed(_changed(old, key, value), "restarts", 1)
    assert jobs.replace(new).status == 200
    assert check_rules(with_defaults(new), "MapReduceJob", old) == []


@pytest.mark.parametrize("value", [1, 0, None])
def test_restarts_only_grow(jobs: Jobs, value: int | None) -> None:
    """Lowering restarts, or leaving it out, is refused."""
    old = jobs.replace(_changed(jobs.created("seed"), "restarts", 2)).body
    reply = jobs.replace(_changed(old, "restarts", value))
    assert reply.status == 422
    assert "restarts may only be raised" in reply.body["message"]


def test_inline_inputs_up_to_the_limit(jobs: Jobs) -> None:
    """128 KiB of short inputs pass at creation and on later changes: the rules' costs stay within the budget."""
    job = example("seed")
    job["spec"]["inputs"] = [f"{number:013}" for number in range(10_000)]
    reply = jobs.create(job)
    assert reply.status == 201, reply.body
    assert jobs.replace(_changed(reply.body, "replicas", 3)).status == 200
    job["spec"]["inputs"] = ["é" * 1024] * 64
    assert jobs.create(job).status == 201
    job["spec"]["inputs"].append("x")
    assert jobs.create(job).status == 422


def test_jobargs_up_to_the_limit(jobs: Jobs) -> None:
    """64 KiB in all, counted in bytes of UTF-8 and with the names; one more is refused by the rule."""
    job = example("seed")
    args = {f"{number:02}": "é" * 2047 for number in range(15)}  # 4,096 bytes each with its name
    for rest, status in (("x" * 4094, 201), ("x" * 4095, 422)):
        job["spec"]["jobargs"] = {**args, "15": rest}
        found = check_rules(with_defaults(job), "MapReduceJob")
        assert [error.path for error in found] == ([] if status == 201 else ["spec.jobargs"])
        assert jobs.create(job).status == status


STATUS = {
    "phase": "DEPLOYED",
    "stage": "map",
    "stages": [
        {"step": 0, "name": "map", "shards": 2, "total": 40, "pending": 8, "running": 20, "done": 12, "failed": 0,
         "startTime": "2026-01-31T12:00:00Z"},
        {"step": 0, "name": "reduce", "shards": 1, "total": 5},
    ],
    "progress": "12/40",
    "run": 1,
    "error": "",
    "lockholder": "operator-1",
    "results": ["s3://kubemr/kubemr/test-z0dk5/reduce/0.txt"],
    "resultsManifest": "s3://kubemr/kubemr/test-z0dk5/results.txt",
    "resultCount": 1,
    "conditions": [
        {"type": "Valid", "status": "True", "observedGeneration": 1, "lastTransitionTime": "2026-01-31T12:00:00Z",
         "reason": "Valid", "message": ""}
    ],
    "observedGeneration": 1,
    "observedRestarts": 0,
    "replicas": 3,
    "selector": "app=kubemr",
    "startTime": "2026-01-31T12:00:00Z",
    "completionTime": "2026-01-31T12:00:00.123456Z",
}  # fmt: skip


def test_status_is_stored_whole(jobs: Jobs) -> None:
    """Nothing of the status is pruned, and the seed's lock works on it."""
    job = jobs.created("seed")
    reply = jobs.patch(job, [{"op": "test", "path": "/status", "value": None},
                             {"op": "add", "path": "/status", "value": STATUS}], "/status")  # fmt: skip
    assert reply.status == 200, reply.body
    assert reply.body["status"] == STATUS
    lock = [{"op": "test", "path": "/status/lockholder", "value": "operator-1"},
            {"op": "remove", "path": "/status/lockholder"}]  # fmt: skip
    assert "lockholder" not in jobs.patch(job, lock, "/status").body["status"]
    assert jobs.patch(job, lock, "/status").status == 422


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("phase", "DONE", "Unsupported value"),
        ("stage", "map-1", "should match"),
        ("run", 0, "greater than or equal to 1"),
        ("error", "x" * 4097, "Too long"),
        ("results", [str(number) for number in range(257)], "Too many"),
        ("startTime", "yesterday", "date-time"),
        ("stages", [{"step": 0, "name": "map"}, {"step": 0, "name": "map"}], "Duplicate value"),
        ("conditions", [{"type": "Valid"}], "Required value"),
        ("resultCount", "17", "must be of type int"),
    ],
)
def test_status_is_bounded(jobs: Jobs, path: str, value: object, words: str) -> None:
    """The status has a schema too, and our check says the same."""
    job = jobs.created("seed")
    job["status"] = {**STATUS, path: value}
    reply = jobs.replace(job, "/status")
    assert reply.status == 422
    assert re.search(words, reply.body["message"]), reply.body["message"]
    # Of a status the apiserver says the path without `status.`, and all else is skipped.
    ours = {(error.path, error.detail.replace(": status.", ": ", 1)) for error in check(job, schema("MapReduceJob"))}
    theirs = {(cause["field"], cause["message"]) for cause in reply.body["details"]["causes"]}
    assert ours <= theirs
    assert all("some validation rules were not checked" in message for _, message in theirs - ours)


def test_scale(jobs: Jobs) -> None:
    """`kubectl scale` and autoscalers see and set the number of workers."""
    job = jobs.created("seed")
    jobs.patch(job, [{"op": "add", "path": "/status", "value": STATUS}], "/status")
    scale = jobs.get(job, "/scale").body
    assert (scale["spec"], scale["status"]) == ({"replicas": 10}, {"replicas": 3, "selector": "app=kubemr"})
    scale["spec"]["replicas"] = 4
    assert jobs.replace(scale, "/scale").status == 200
    assert jobs.get(job).body["spec"]["replicas"] == 4


def _shard(**tasks: str) -> Any:
    return {
        "apiVersion": "turbobytes.com/v1alpha1",
        "kind": "MapReduceTaskShard",
        "metadata": {"generateName": "shard-"},
        "tasks": {key.removeprefix("n"): value for key, value in tasks.items()},
    }


STATES = (
    "pending/1/0/0/",
    "running/2/0/1/w7-k2p4x9",
    "running/2/0/1/w7-k2p4x9+w9-m4c0aa",
    "done/2/0/1/w7-k2p4x9",
    "empty/2/0/1/w7-k2p4x9",
    "failed/5/4/0/",
)

NO_STATES = (
    "",
    "pending",
    "pending/0/0/0/",
    "pending/1/0/0/w7-k2p4x9",
    "running/1/0/0/",
    "running/1/0/0/w7",
    "running/1/0/0/w7-k2p4x9+w9-m4c0aa+w1-aaaaaa",
    "done/1/0/0/",
    "done/1/0/0/w7-k2p4x9+w9-m4c0aa",
    "failed/1/0/0/w7-k2p4x9",
    "lost/1/0/0/",
    "pending/1/0/0/\n",
    "pending/1/0/0/" + "x" * 60,
)


def test_shards_hold_the_grammar(jobs: Jobs) -> None:
    """Every state of the protocol is stored as it is written, of each task and of all."""
    each = _shard(**{f"n{number}": state for number, state in enumerate(STATES)})
    for shard in (each, *(_shard(**{"n0-511": state}) for state in STATES)):
        reply = jobs.create(shard, "mapreducetaskshards")
        assert reply.status == 201, reply.body
        assert reply.body["tasks"] == shard["tasks"]


@pytest.mark.parametrize("key", ["0", "0-511"])
@pytest.mark.parametrize("state", NO_STATES)
def test_shards_refuse_what_is_no_state(jobs: Jobs, state: str, key: str) -> None:
    """At creation and in a patch, in the words of our own check."""
    shard = _shard(**{f"n{key}": state})
    reply = jobs.create(shard, "mapreducetaskshards")
    assert reply.status == 422
    assert [error.cause() for error in check(shard, schema("MapReduceTaskShard"))] == [
        cause for cause in reply.body["details"]["causes"] if not _of_scale_or_skipped(cause)
    ]
    good = jobs.create(_shard(**{f"n{key}": STATES[0]}), "mapreducetaskshards").body
    change = {"op": "replace", "path": f"/tasks/{key}", "value": state}
    assert jobs.patch(good, [change], plural="mapreducetaskshards").status == 422


def test_shards_hold_at_most_512_tasks(jobs: Jobs) -> None:
    """512 are possible, 513 and none are not."""
    for count, status in ((512, 201), (513, 422), (0, 422)):
        shard = _shard(**{f"n{number}": STATES[0] for number in range(count)})
        assert jobs.create(shard, "mapreducetaskshards").status == status
    nothing = _shard()
    del nothing["tasks"]
    assert jobs.create(nothing, "mapreducetaskshards").status == 422


def test_tasks_have_one_owner(jobs: Jobs) -> None:
    """managedFields has one entry for the map, not one per task: objects patched often stay small."""
    shard = _shard(**{f"n{number}": STATES[0] for number in range(512)})
    (managed,) = jobs.create(shard, "mapreducetaskshards").body["metadata"]["managedFields"]
    assert managed["fieldsV1"]["f:tasks"] == {}


def test_printer_columns(jobs: Jobs, installed: ApiServer) -> None:
    """What `kubectl get` shows."""
    for kind, names in (
        ("MapReduceJob", ["Phase", "Stage", "Progress", "Replicas", "Age", "Error", "Results"]),
        ("MapReduceTaskShard", ["Stage", "Run", "Tasks", "Age"]),
    ):
        served = installed.request("GET", f"{CRDS}/{crd(kind)['metadata']['name']}").body
        assert [one["name"] for one in served["spec"]["versions"][0]["additionalPrinterColumns"]] == names
        assert not any(one["type"] == "NonStructuralSchema" for one in served["status"]["conditions"])
