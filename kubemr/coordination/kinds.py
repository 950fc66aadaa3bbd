"""The Kubernetes kinds that kubemr uses, and the labels and annotations that other programs define.

kubemr's own kinds are `names.JOBS` and `kubemr.tasks.shard.SHARDS`, and its own labels are in `names`.
"""

from __future__ import annotations

from typing import Final

from kubemr.locks.effects import Resource
from kubemr.locks.lease import LEASES as LEASES

CONFIG_MAPS: Final = Resource("", "v1", "configmaps")
EVENTS: Final = Resource("", "v1", "events")
PODS: Final = Resource("", "v1", "pods")
SECRETS: Final = Resource("", "v1", "secrets")
SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts")
KUBERNETES_JOBS: Final = Resource("batch", "v1", "jobs")
"""Jobs of `batch/v1`; `names.JOBS` are MapReduceJobs."""
RBAC_GROUP: Final = "rbac.authorization.k8s.io"
ROLES: Final = Resource(RBAC_GROUP, "v1", "roles")
ROLE_BINDINGS: Final = Resource(RBAC_GROUP, "v1", "rolebindings")

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
"""Kubernetes' recommended label for the program that manages an object."""
COMPONENT: Final = "app.kubernetes.io/component"
"""Kubernetes' recommended label for the part of an application that an object belongs to."""
JOB_NAME: Final = "batch.kubernetes.io/job-name"
"""The label of a pod, and of its template, with the name of its Kubernetes Job."""
CONTROLLER_UID: Final = "batch.kubernetes.io/controller-uid"
"""The label of a pod, and of its template, with the uid of its Kubernetes Job."""
JOB_COMPLETION_INDEX: Final = "batch.kubernetes.io/job-completion-index"
"""The label and the annotation of a pod with its index in an Indexed Job."""
QUEUE_NAME: Final = "kueue.x-k8s.io/queue-name"
"""The label of a Kubernetes Job with the name of its queue in Kueue.

Kueue queues the Job as a whole, so its pods must not have the label."""
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation in which `kubectl apply` records what it has applied."""
