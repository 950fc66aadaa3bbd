"""The permissions of a run's workers: a service account, a Role and a RoleBinding, all three with one name.

RBAC confines access to the job, its status and the Leases by name.
It cannot confine a list by label, so access to shards is granted for the whole namespace.
The ValidatingAdmissionPolicy in `manifests/base/admission.yaml` limits writes to the account's own shards,
and to the changes that docs/protocol.md allows.
The permissions include no create, no delete, no Secret and no pod.
The operator has all of them too, since otherwise the apiserver would not let it grant them.
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
"""In the order in which they are deleted: a grant before the account that it is granted to."""


def grant(job: JobView, replicas: int | None = None) -> Op[None]:
    """Give `replicas` workers their permissions; by default as many workers as the job wants.

    This is idempotent.  Call it again before you add Leases: the Role grows with them, and never shrinks.
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
    """Delete the three objects, by name because the operator may not list them."""
    for resource in KINDS:
        yield from remove_named(job, resource, names.account(job.base))


def service_account(job: JobView) -> Json:
    """Return the workers' service account."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": builders.metadata(job, names.account(job.base)),
        "automountServiceAccountToken": True,
    }


def role(job: JobView, replicas: int) -> Json:
    """Return the Role with the workers' permissions."""
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "Role",
        "metadata": builders.metadata(job, names.account(job.base)),
        "rules": rules(job, replicas),
    }


def rules(job: JobView, replicas: int) -> list[Json]:
    """Return the Role's rules; the last one names the Leases."""
    group = names.JOBS.group
    return [
        {"apiGroups": [group], "resources": ["mapreducejobs"], "resourceNames": [job.name], "verbs": ["get"]},
        {"apiGroups": [group], "resources": ["mapreducejobs/status"], "resourceNames": [job.name], "verbs": ["patch"]},
        {"apiGroups": [group], "resources": ["mapreducetaskshards"], "verbs": ["get", "list", "watch", "patch"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            # At least one name: a rule without names would allow all Leases.
            "resourceNames": [names.lease(job.base, index) for index in range(max(replicas, 1))],
            "verbs": ["get", "patch"],
        },
    ]


def role_binding(job: JobView) -> Json:
    """Return the RoleBinding of the Role to the account of the pods."""
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
    """Try once to extend the Role to the wanted rules, and return the Role as it is then."""
    target = Target(ROLES, job.namespace, wanted["metadata"]["name"])
    patch = Patch().test("/metadata/uid", there["metadata"]["uid"]).swap("/rules", there["rules"], wanted["rules"])
    outcome = yield from apply(target, patch, patch.shows)
    if outcome.status in (PatchStatus.REFUSED, PatchStatus.GONE):
        raise RequestRefusedError(f"patching {target}", outcome.answer)
    return outcome.object
