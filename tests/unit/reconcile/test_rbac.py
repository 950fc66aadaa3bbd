"""Workers' service account, Role and RoleBinding: made once, growing with the workers, removed by name."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.objects import rbac
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import KUBERNETES_JOBS, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS
from kubemr.locks import RequestRefusedError
from kubemr.locks.conditional import Target
from kubemr.locks.effects import Json
from support.bench import DENIED, LOST_ANSWER, NAMESPACE, Bench, asks


def leases_of(bench: Bench, job: JobView) -> list[str]:
    """Return the Leases that the Role names."""
    role: Json = bench.get(Target(ROLES, NAMESPACE, names.account(job.base)))
    return list(role["rules"][-1]["resourceNames"])


def three(bench: Bench) -> list[str]:
    """Which of the three kinds there are."""
    return [resource.plural for resource in rbac.KINDS if bench.objects(resource, namespace=NAMESPACE)]


def test_they_name_what_rbac_can(bench: Bench, operator: ReconcileContext) -> None:
    """The job, its status, the Leases; nothing is created, deleted or kept secret by workers."""
    job = bench.deployed(operator, replicas=2)
    role: Json = bench.get(Target(ROLES, NAMESPACE, names.account(job.base)))
    verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}
    assert verbs == {"get", "list", "watch", "patch"}
    assert {name for rule in role["rules"] for name in rule.get("resourceNames", ())} == {
        job.name,
        f"{job.base}-w-0",
        f"{job.base}-w-1",
    }
    (unnamed,) = [rule for rule in role["rules"] if not rule.get("resourceNames")]
    assert unnamed["resources"] == ["mapreducetaskshards"]
    pod = bench.get(Target(KUBERNETES_JOBS, NAMESPACE, names.workers(job.base, 0)))["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == names.account(job.base)


def test_the_role_grows_and_never_shrinks(bench: Bench, operator: ReconcileContext) -> None:
    """However often it is asked for, and if an answer is lost."""
    job = bench.deployed(operator, replicas=1)
    bench.lose(asks("patch", "roles"))
    bench.answer(asks("patch", "roles"), LOST_ANSWER)
    bench.run(rbac.grant(job, 3))
    assert leases_of(bench, job) == [f"{job.base}-w-{index}" for index in range(3)]
    bench.requests.clear()
    bench.run(rbac.grant(job, 2))
    assert len(leases_of(bench, job)) == 3
    assert "patch" not in {request.verb for request in bench.requests}


def test_another_makes_it_grow_first(bench: Bench, operator: ReconcileContext) -> None:
    """To less than is wanted: it is tried again from there."""
    job = bench.deployed(operator, replicas=1)
    bench.meanwhile(asks("patch", "roles"), lambda: bench.run(rbac.grant(job, 2)))
    bench.run(rbac.grant(job, 4))
    assert len(leases_of(bench, job)) == 4


def test_a_role_that_may_not_be_changed(bench: Bench, operator: ReconcileContext) -> None:
    """An operator cannot grant what it has not: the error names the Role."""
    job = bench.deployed(operator, replicas=1)
    bench.answer(asks("patch", "roles"), DENIED)
    with pytest.raises(
        RequestRefusedError, match=rf"patching roles {NAMESPACE}/{job.base}-worker: the apiserver refused it with 403"
    ):
        bench.run(rbac.grant(job, 2))


def test_without_workers_no_rule_is_for_all_leases(bench: Bench) -> None:
    """A rule without names would be one."""
    assert rbac.rules(bench.submit(), 0)[-1]["resourceNames"]


def test_an_account_that_the_job_names(bench: Bench, operator: ReconcileContext) -> None:
    """It is bound and not made; it stays when the run's rights go."""
    job = bench.deployed(operator, template={"spec": {"serviceAccountName": "mine"}})
    (binding,) = bench.objects(ROLE_BINDINGS, namespace=NAMESPACE)
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "mine", "namespace": NAMESPACE}]
    assert three(bench) == ["rolebindings", "roles"]
    pod = bench.get(Target(KUBERNETES_JOBS, NAMESPACE, names.workers(job.base, 0)))["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "mine"
    bench.run(rbac.revoke(job))
    assert three(bench) == []


def test_what_is_not_the_jobs_is_not_removed(bench: Bench, operator: ReconcileContext) -> None:
    """Though it has the name."""
    job = bench.deployed(operator)
    bench.run(rbac.revoke(job))
    bench.create(SERVICE_ACCOUNTS, {"metadata": {"name": names.account(job.base)}})
    bench.run(rbac.revoke(job))
    assert three(bench) == ["serviceaccounts"]


def test_they_are_never_listed(bench: Bench, operator: ReconcileContext) -> None:
    """An operator has no right to: neither to them nor to secrets."""
    job = bench.deployed(operator)
    bench.set(job.status, "/status/phase", "FAIL")
    bench.step(operator)
    assert three(bench) == []
    listed = {request.resource.plural for request in bench.requests if request.verb == "list"}
    assert not listed & {"secrets", "roles", "rolebindings", "serviceaccounts"}
