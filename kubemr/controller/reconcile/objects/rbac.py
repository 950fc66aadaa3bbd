"""What a run's workers may do: a service account, a Role and a RoleBinding, all three of one name.

RBAC confines the job, its status and the Leases by name.  It cannot confine a list by label, so shards are granted
for the whole namespace; the ValidatingAdmissionPolicy in `manifests/base/admission.yaml` ties writes to the account's
own shards, and to the changes that docs/protocol.md allows.  There is no create, no delete, no secret and no pod among
these rights.  All of them are rights of the operator too, or the apiserver would not let it grant them.
"""

from __future__ import annotations

from typing import Final

from kubemr.controller.reconcile.objects import builders
from kubemr.controller.reconcile.objects.create import ensure
from kubemr.controller.reconcile.objects.delete import remove_named
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import RBAC_GROUP, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS
from kubemr.locks.conditional import PatchStatus, RequestRefusedError, Target, apply
from kubemr.locks.effects import Json, Op
from kubemr.locks.patch import Patch

KINDS: Final = (ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS)
"""In the order in which they are removed: what is granted goes before what it is granted to."""


def grant(job: JobView, replicas: int | None = None) -> Op[None]:
    """Give `replicas` workers (by default as many as the job wants) their rights.

    Idempotent, and to be called again before Leases are added: the Role grows with them, and never shrinks.
    """
    count = job.replicas if replicas is None else replicas
    if builders.account(job) == names.account(job.base):
        yield from ensure(job, SERVICE_ACCOUNTS, service_account(job))
    wanted = role(job, count)
    there: Json = yield from ensure(job, ROLES, wanted)
    while _leases(there) < count:
        there = yield from _grow(job, there, wanted)
    yield from ensure(job, ROLE_BINDINGS, role_binding(job))


def revoke(job: JobView) -> Op[None]:
    """Remove the three.  By name: the operator may not list them."""
    for resource in KINDS:
        yield from remove_named(job, resource, names.account(job.base))


def service_account(job: JobView) -> Json:
    """Who the workers are."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": builders.metadata(job, names.account(job.base)),
        "automountServiceAccountToken": True,
    }


def role(job: JobView, replicas: int) -> Json:
    """What they may do."""
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "Role",
        "metadata": builders.metadata(job, names.account(job.base)),
        "rules": rules(job, replicas),
    }


def rules(job: JobView, replicas: int) -> list[Json]:
    """The Role's rules; the last one names the Leases."""
    group = names.JOBS.group
    return [
        {"apiGroups": [group], "resources": ["mapreducejobs"], "resourceNames": [job.name], "verbs": ["get"]},
        {"apiGroups": [group], "resources": ["mapreducejobs/status"], "resourceNames": [job.name], "verbs": ["patch"]},
        {"apiGroups": [group], "resources": ["mapreducetaskshards"], "verbs": ["get", "list", "watch", "patch"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            # One name at least: a rule without any would be a rule for all of them.
            "resourceNames": [names.lease(job.base, index) for index in range(max(replicas, 1))],
            "verbs": ["get", "patch"],
        },
    ]


def role_binding(job: JobView) -> Json:
    """The Role, for the account that the pods run as."""
    name = names.account(job.base)
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": builders.metadata(job, name),
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": builders.account(job), "namespace": job.namespace}],
    }


def _leases(role: Json) -> int:
    return len(role["rules"][-1]["resourceNames"])


def _grow(job: JobView, there: Json, wanted: Json) -> Op[Json]:
    """The Role as it is after one try."""
    target = Target(ROLES, job.namespace, wanted["metadata"]["name"])
    patch = Patch().test("/metadata/uid", there["metadata"]["uid"]).swap("/rules", there["rules"], wanted["rules"])
    outcome = yield from apply(target, patch, patch.shows)
    if outcome.status in (PatchStatus.REFUSED, PatchStatus.GONE):
        raise RequestRefusedError(f"patching {target}", outcome.answer)
    return outcome.object
