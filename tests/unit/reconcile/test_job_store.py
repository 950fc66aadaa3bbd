"""The store of a job: keys by reference, and a deployment that waits for what is missing."""

from __future__ import annotations

import base64

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.phases.deploy import STORAGE_POLL_SECONDS
from kubemr.coordination.kinds import KUBERNETES_JOBS, SECRETS
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Json
from support.bench import DENIED, NAMESPACE, Bench, BenchSettings, asks

NAMED: Json = {"storage": {"s3": {"bucket": "mine", "secretRef": {"name": "s3-keys"}}}}
SECRET = Target(SECRETS, NAMESPACE, "s3-keys")
MISSING = (
    "spec.storage.s3.secretRef: the Secret 's3-keys' in namespace 'default' does not exist; "
    "create it with the keys accessKeyId and secretAccessKey"
)


def deploying(bench: Bench, operator: ReconcileContext, **spec: Json) -> None:
    """Create a job whose lock `operator` holds."""
    bench.submit(**spec)
    for _ in range(2):
        bench.step(operator)
    assert bench.job().phase == "DEPLOYING"


def encoded(text: str) -> str:
    """As in a Secret's `data`."""
    return base64.b64encode(text.encode()).decode()


def shown(bench: Bench) -> Json:
    """Return the condition `Deployed`."""
    (found,) = [each for each in bench.job().document["status"]["conditions"] if each["type"] == "Deployed"]
    return found


def settings(operator: ReconcileContext) -> BenchSettings:
    """Return the bench's settings."""
    assert isinstance(operator.settings, BenchSettings)
    return operator.settings


def test_a_missing_secret_is_waited_for(bench: Bench, operator: ReconcileContext) -> None:
    """Reported once, with its name; the job continues when it appears, and nothing of it is copied."""
    deploying(bench, operator, **NAMED)
    for _ in range(3):
        assert bench.step(operator) == STORAGE_POLL_SECONDS
    assert bench.job().document["status"]["error"] == MISSING
    assert (shown(bench)["status"], shown(bench)["reason"], shown(bench)["message"]) == (
        "False",
        "StorageNotReady",
        MISSING,
    )
    assert [each for each in bench.events() if each[0] == "StorageNotReady"] == [("StorageNotReady", MISSING)]
    assert bench.everything() == {}
    bench.create(SECRETS, {"metadata": {"name": "s3-keys"}, "data": {"accessKeyId": encoded("me")}})
    bench.step(operator)
    assert bench.job().document["status"]["error"].endswith("in namespace 'default' has no secretAccessKey; add it")
    bench.set(SECRET, "/data/secretAccessKey", encoded("hush"))
    bench.step(operator)
    assert bench.job().phase == "DEPLOYED"
    assert "error" not in bench.job().document["status"]
    assert (shown(bench)["status"], shown(bench)["reason"]) == ("True", "Deployed")
    assert [each["metadata"]["name"] for each in bench.objects(SECRETS)] == ["s3-keys"]
    assert settings(operator).opened_with[-1] == {
        "KUBEMR_S3_ACCESS_KEY_ID": "me",
        "KUBEMR_S3_SECRET_ACCESS_KEY": "hush",
    }


def test_a_secret_that_may_not_be_read_is_waited_for(bench: Bench, operator: ReconcileContext) -> None:
    """The right may be granted."""
    deploying(bench, operator, **NAMED)
    bench.answer(asks("get", "secrets"), DENIED)
    bench.step(operator)
    error = bench.job().document["status"]["error"]
    assert "reading secrets default/s3-keys: the apiserver refused it with 403" in error


def test_a_key_that_is_no_text(bench: Bench, operator: ReconcileContext) -> None:
    """It is named, and not shown."""
    deploying(bench, operator, **NAMED)
    data = {"accessKeyId": base64.b64encode(b"\xff").decode(), "secretAccessKey": encoded("hush")}
    bench.create(SECRETS, {"metadata": {"name": "s3-keys"}, "data": data})
    bench.step(operator)
    assert bench.job().document["status"]["error"].endswith("its accessKeyId is not text; correct it")


def test_a_store_that_cannot_be_used_holds_the_deployment_up(bench: Bench, operator: ReconcileContext) -> None:
    """A missing bucket, denied keys: what the store says, before any pod is started."""
    deploying(bench, operator)
    bench.storage_fails = True
    assert bench.step(operator) == STORAGE_POLL_SECONDS
    assert bench.job().document["status"]["error"].startswith("the object store cannot be used: check")
    assert bench.objects(KUBERNETES_JOBS) == []
    bench.storage_fails = False
    bench.step(operator)
    assert bench.job().phase == "DEPLOYED"


def test_workers_with_an_identity_of_their_own_are_not_held_up(bench: Bench, operator: ReconcileContext) -> None:
    """They may be allowed what the operator is not."""
    settings(operator).own_identity = True
    deploying(bench, operator)
    bench.storage_fails = True
    bench.step(operator)
    assert bench.job().phase == "DEPLOYED"


@pytest.mark.parametrize("stage_done", [False, True])
def test_a_secret_that_goes_while_the_job_runs(bench: Bench, operator: ReconcileContext, stage_done: bool) -> None:
    """The operator needs it only when it has to move the job on itself, and says so then."""
    deploying(bench, operator, **NAMED)
    data = {"accessKeyId": encoded("me"), "secretAccessKey": encoded("hush")}
    bench.create(SECRETS, {"metadata": {"name": "s3-keys"}, "data": data})
    bench.step(operator)
    job = bench.job()
    bench.delete(SECRET)
    if stage_done:
        bench.write_tasks(job, {0: "empty/1/0/0/w0-aaaaaa", 1: "empty/1/0/0/w0-aaaaaa"})
    bench.step(operator)
    status = bench.job().document["status"]
    assert (status.get("error"), status["stage"]) == (MISSING if stage_done else None, "map")
