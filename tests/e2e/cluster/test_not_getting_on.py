"""`kubectl describe` tells, within half a minute, why a job is not getting on; once that is mended the job goes on."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.cluster_access import ClusterAccess, S3Access
from support.cluster_documents import Documents
from support.cluster_inventory import until_nothing
from support.cluster_kubemr import Job, Kubemr, jobs_of, until, word_count
from support.cluster_watch import Watch

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SOON = 30.0
"""Seconds from `kubectl create` until it is said."""

CASES = {
    "image": ("ImagePullBackOff", "image 'registry.invalid/nobody/nothing:1': "),
    "pods": ("Unschedulable", "node affinity/selector"),
    "bucket": ("StorageNotReady", "the object store cannot be used: "),
    "credentials": ("StorageNotReady", "the object store cannot be used: "),
}
"""By the name of the job, the reason and a part of the message."""


@pytest.fixture
def bucket(kubemr: Kubemr) -> Iterator[str]:
    """The name of a bucket that does not exist yet; what a test makes of it is removed."""
    name = f"e2e-{secrets.token_hex(4)}"
    yield name
    store = kubemr.store
    if store.bucket_exists(name):
        until_nothing(lambda: [str(each.object_name) for each in store.list_objects(name, recursive=True)])
        store.remove_bucket(name)


def manifests(s3: S3Access, image: str, inputs: list[str], missing: str, existing: str) -> dict[str, Any]:
    """A job for each case."""
    made = {name: word_count(name, image, inputs) for name in CASES}
    made["image"]["spec"]["image"] = "registry.invalid/nobody/nothing:1"
    made["pods"]["spec"]["template"]["spec"]["nodeSelector"] = {"e2e.kubemr/there-is": "none"}
    made["bucket"]["spec"]["storage"] = {"s3": {"bucket": missing}}
    wrong = {"endpoint": s3.endpoint, "region": s3.region, "bucket": existing, "secretRef": {"name": "wrong"}}
    made["credentials"]["spec"]["storage"] = {"s3": wrong}
    return made


def deployed_reason(document: Any) -> str:
    """The reason of the condition `Deployed`."""
    conditions = (document.get("status") or {}).get("conditions") or []
    return next((each["reason"] for each in conditions if each["type"] == "Deployed"), "")


def told(job: Job, reason: str, words: str) -> bool:
    """Whether `kubectl describe` shows an Event that says it."""
    events = job.kubectl("describe", "mrj", job.name).partition("\nEvents:")[2]
    lines = [line.split(maxsplit=4) for line in events.splitlines()]
    return any(line[:2] == ["Warning", reason] and words in line[4] for line in lines if len(line) > 4)


def test_it_is_said_and_passes(
    cluster: ClusterAccess,
    cluster_s3: S3Access,
    kubemr: Kubemr,
    cluster_namespace: str,
    bucket: str,
    documents: Documents,
    wordcount_image: str,
) -> None:
    """An image that cannot be pulled, pods that cannot be scheduled, no such bucket, keys that are denied."""
    metadata = {"name": "wrong", "namespace": cluster_namespace}
    keys = {"accessKeyId": cluster_s3.access_key, "secretAccessKey": "not-the-one"}
    cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys})
    wanted = manifests(cluster_s3, wordcount_image, documents.urls(), bucket, kubemr.bucket)
    with Watch(cluster, jobs_of(cluster_namespace)) as watch:
        submitted = time.monotonic()
        jobs = {name: kubemr.submit(cluster_namespace, wanted[name]) for name in CASES}
        for name, (reason, words) in CASES.items():
            job = jobs[name]
            said = watch.wait(
                lambda seen, job=job, reason=reason: next(  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                    (each for each in seen if job.is_in(each.object) and deployed_reason(each.object) == reason), None
                ),
                f"{name}: the condition Deployed has the reason {reason}",
                SOON,
            )
            assert said.seen - submitted < SOON
            assert words in said.object["status"]["error"]
            left = SOON - (time.monotonic() - submitted)
            until(lambda job=job, case=(reason, words): told(job, *case), f"{name}: `kubectl describe` tells", left)
        for name in ("bucket", "credentials"):
            assert jobs[name].get()["status"]["phase"] == "DEPLOYING"
        kubemr.store.make_bucket(bucket)
        status = jobs["bucket"].wait()["status"]
        assert "error" not in status
        right = {"stringData": {**keys, "secretAccessKey": cluster_s3.secret_key}}
        cluster.kubectl("-n", cluster_namespace, "patch", "secret", "wrong", "--type=merge", "-p", json.dumps(right))
        jobs["credentials"].wait()
    for job in jobs.values():
        job.delete()
