"""DEPLOYING → DEPLOYED: everything the workers need, the Kubernetes Job last; a crash anywhere changes nothing."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.objects.create import NameConflictError
from kubemr.controller.reconcile.reconciler import reconcile
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import CONFIG_MAPS, KUBERNETES_JOBS, SECRETS
from kubemr.locks import RequestRefusedError
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Json
from kubemr.locks.lease import LEASES
from kubemr.tasks.shard import SHARDS
from support.bench import (
    DENIED,
    INVALID,
    LOST_ANSWER,
    NAMESPACE,
    UNAVAILABLE,
    Bench,
    BenchSettings,
    asks,
    operator_lease,
)

SPEC: Json = {"inputs": [str(number) for number in range(40)], "partitions": 3, "replicas": 2}


def deploying(bench: Bench, operator: ReconcileContext, **spec: Json) -> JobView:
    """Create a job whose lock `operator` holds."""
    bench.submit(**{**SPEC, **spec})
    bench.step(operator)
    bench.step(operator)
    job = bench.job()
    assert job.phase == "DEPLOYING"
    return job


def secretive(operator: ReconcileContext) -> ReconcileContext:
    """Return an operator whose store needs keys."""
    assert isinstance(operator.settings, BenchSettings)
    operator.settings.secret = {"KUBEMR_S3_SECRET_ACCESS_KEY": "hush"}
    return operator


def test_everything_is_there_before_the_pods_are(bench: Bench, operator: ReconcileContext) -> None:
    """And nothing else: settings, keys, a Lease per worker, the shards of all stages, the Kubernetes Job."""
    job = deploying(bench, secretive(operator))
    seen: list[set[str]] = []
    bench.meanwhile(asks("create", "jobs"), lambda: seen.append(set(bench.everything())))
    bench.step(operator)
    base = job.base
    children = {
        f"serviceaccounts/{base}-worker",
        f"roles/{base}-worker",
        f"rolebindings/{base}-worker",
        f"configmaps/{base}-config",
        f"secrets/{base}-storage",
        f"leases/{base}-w-0",
        f"leases/{base}-w-1",
        f"mapreducetaskshards/{base}-0-map-0",
        f"mapreducetaskshards/{base}-0-map-1",
        f"mapreducetaskshards/{base}-0-reduce-0",
    }
    assert seen == [children]
    assert set(bench.everything()) == children | {f"jobs/{base}-workers"}
    assert bench.job().phase == "DEPLOYED"
    assert bench.job().document["status"]["stages"][0]["startTime"] == bench.now_string()


def test_the_children_carry_labels_and_their_owner(bench: Bench, operator: ReconcileContext) -> None:
    """docs/protocol.md, "Names"."""
    job = deploying(bench, operator)
    bench.step(operator)
    for name, child in bench.everything().items():
        labels = child["metadata"]["labels"]
        assert labels["kubemr.turbobytes.com/job-uid"] == job.uid, name
        assert labels["kubemr.turbobytes.com/run"] == "1", name
        assert labels["app.kubernetes.io/managed-by"] == "kubemr", name
        (owner,) = child["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (job.uid, True, False), name
    first, second = bench.shard(job), bench.shard(job, 0, 1)
    assert (len(first.tasks), len(second.tasks), min(second.tasks)) == (32, 8, 32)
    assert (first.hint, bench.shard(job, 1).hint) == ("open", "waiting")


def test_without_keys_there_is_no_secret(bench: Bench, operator: ReconcileContext) -> None:
    """And the pods do not ask for one."""
    job = deploying(bench, operator)
    bench.step(operator)
    assert bench.objects(SECRETS) == []
    pod = bench.get(Target(KUBERNETES_JOBS, NAMESPACE, names.workers(job.base, 0)))["spec"]["template"]["spec"]
    assert pod["containers"][0]["envFrom"] == [{"configMapRef": {"name": f"{job.base}-config"}}]


def test_without_inputs_there_are_no_children(bench: Bench, operator: ReconcileContext) -> None:
    """Nothing has to be cleaned up either."""
    deploying(bench, operator, inputs=[])
    bench.step(operator)
    assert bench.everything() == {}
    assert bench.job().phase == "DEPLOYED"
    assert bench.events()[-1] == ("Deployed", "there are no inputs, so there are no workers")


def requests_of_a_deployment() -> int:
    """How many requests an undisturbed one sends."""
    bench = Bench()
    operator = secretive(bench.operator())
    deploying(bench, operator)
    bench.requests.clear()
    bench.step(operator)
    return len(bench.requests)


@pytest.mark.parametrize("requests", range(1, requests_of_a_deployment() + 1))
def test_a_crash_after_each_request_leads_to_the_same_end(requests: int) -> None:
    """Another operator takes the job over and goes through all of it again."""
    undisturbed, bench = Bench(), Bench()
    for each in (undisturbed, bench):
        deploying(each, secretive(each.operator("op-a")))
    undisturbed.step(secretive(undisturbed.operator("op-a")))
    bench.crash_after(reconcile(bench.job().document, secretive(bench.operator("op-a"))), requests)
    bench.delete(operator_lease("op-a"))
    again = secretive(bench.operator("op-b"))
    for _ in range(2):
        if bench.job().phase == "DEPLOYING":
            bench.step(again)
    assert bench.job().phase == undisturbed.job().phase == "DEPLOYED"
    assert bench.everything() == undisturbed.everything()


@pytest.mark.parametrize("answer", [LOST_ANSWER, UNAVAILABLE])
@pytest.mark.parametrize("plural", ["configmaps", "leases", "mapreducetaskshards", "jobs"])
def test_a_create_without_a_definite_answer_is_repeated(
    bench: Bench, operator: ReconcileContext, plural: str, answer: object
) -> None:
    """Whether it was carried out or not: there is one of each."""
    deploying(bench, operator)
    bench.answer(asks("create", plural), answer)  # type: ignore[arg-type]  # an Answer, by parametrize
    bench.lose(asks("create", plural))
    bench.step(operator)
    assert bench.job().phase == "DEPLOYED"
    assert len(bench.everything()) == 10


def test_a_name_that_is_taken_by_another_is_in_the_way(bench: Bench, operator: ReconcileContext) -> None:
    """It is never taken for ours; the error says what to do."""
    job = deploying(bench, operator)
    bench.create(CONFIG_MAPS, {"metadata": {"name": names.config_map(job.base)}})
    with pytest.raises(NameConflictError, match=f"exists and does not belong to .*{job.uid}.*; remove or rename it"):
        bench.step(operator)
    assert bench.objects(KUBERNETES_JOBS) == []


def test_a_child_that_is_still_being_deleted_is_in_the_way(bench: Bench, operator: ReconcileContext) -> None:
    """It would be gone in a moment."""
    job = deploying(bench, operator)
    target = job.lease_of(0)
    owner = names.owner(job.name, job.uid)
    metadata = {"name": target.name, "ownerReferences": [owner], "finalizers": ["example.com/slow"]}
    bench.create(LEASES, {"metadata": metadata})
    bench.delete(target)
    with pytest.raises(NameConflictError, match="is still being deleted"):
        bench.step(operator)


def test_a_child_that_goes_between_two_requests_is_made_again(bench: Bench, operator: ReconcileContext) -> None:
    """409, then 404: another client deleted it just now."""
    job = deploying(bench, operator)
    target = Target(CONFIG_MAPS, NAMESPACE, names.config_map(job.base))
    bench.create(CONFIG_MAPS, {"metadata": {"name": target.name}})
    bench.meanwhile(asks("get", "configmaps"), lambda: bench.delete(target))
    bench.step(operator)
    assert bench.job().phase == "DEPLOYED"


def test_a_look_that_fails_is_repeated(bench: Bench, operator: ReconcileContext) -> None:
    """409, and then no answer to the question whose it is."""
    deploying(bench, operator)
    bench.lose(asks("create", "configmaps"))
    bench.answer(asks("get", "configmaps"), UNAVAILABLE)
    bench.step(operator)
    assert bench.job().phase == "DEPLOYED"


def test_rights_that_are_missing_are_an_error(bench: Bench, operator: ReconcileContext) -> None:
    """They may be granted: the job waits."""
    deploying(bench, operator)
    bench.answer(asks("create", "leases"), DENIED)
    with pytest.raises(
        RequestRefusedError, match=r"creating leases default/words-.*: the apiserver refused it with 403"
    ):
        bench.step(operator)
    bench.answer(asks("create", "jobs"), DENIED)
    with pytest.raises(RequestRefusedError, match="creating jobs"):
        bench.step(operator)
    assert bench.job().phase == "DEPLOYING"


def test_a_pod_template_that_the_server_refuses_fails_the_job(bench: Bench, operator: ReconcileContext) -> None:
    """Repeating it would not help, and its author would not be notified."""
    deploying(bench, operator)
    bench.answer(asks("create", "jobs"), INVALID)
    bench.step(operator)
    job = bench.job()
    assert job.phase == "FAIL"
    assert job.document["status"]["error"].startswith("the workers cannot be created: spec.template: Invalid value")


@pytest.mark.parametrize("what", ["deleted", "locked by another", "failed", "gone"])
def test_no_pods_for_a_job_that_is_over_or_anothers(bench: Bench, operator: ReconcileContext, what: str) -> None:
    """Who was paused in the middle of the deployment looks once more, consistently, before it starts any."""
    job = deploying(bench, operator)

    def happen() -> None:
        if what == "locked by another":
            bench.set(job.status, "/status/lockholder", "op-b/2/1")
        elif what == "failed":
            bench.set(job.status, "/status/phase", "FAIL")
        else:
            if what == "gone":
                bench.patch(job.target, {"op": "remove", "path": "/metadata/finalizers"})
            bench.delete(job.target)

    operator.cleaned[job.uid, 1] = float("inf")
    bench.meanwhile(asks("create", "leases"), happen)
    assert bench.step(operator) == 0.0
    assert bench.objects(KUBERNETES_JOBS) == []
    assert operator.cleaned == {}


def test_a_cache_that_lags_behind_does_not_bring_a_deleted_shard_back(bench: Bench, operator: ReconcileContext) -> None:
    """It shows the job as it was before its deployment: tasks that ran would run again under their attempts' names."""
    job = deploying(bench, operator)
    bench.step(operator)
    shard = Target(SHARDS, NAMESPACE, job.shard_name(job.stages[0], 0))
    bench.delete(shard)
    assert bench.run(reconcile(job.document, operator)).requeue_after is None
    assert bench.get(shard) is None
    assert bench.step(operator) is None
    assert bench.job().document["status"]["error"].startswith(f"the shard {shard.name} was deleted")


def test_the_status_patch_is_lost_to_another_driver(bench: Bench, operator: ReconcileContext) -> None:
    """It tests the lock: nothing is recorded, and no Event either."""
    job = deploying(bench, operator)
    bench.meanwhile(
        lambda request: request.subresource == "status",
        lambda: bench.set(job.status, "/status/lockholder", "op-b/2/1"),
    )
    bench.step(operator)
    assert bench.job().phase == "DEPLOYING"
    assert [reason for reason, _ in bench.events()] == ["Accepted", "Deploying"]
