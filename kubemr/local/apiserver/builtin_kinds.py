"""The table of built-in kinds: the fields of their types, their names, and what is particular to each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kubemr.coordination.kinds import (
    CONFIG_MAPS,
    EVENTS,
    KUBERNETES_JOBS,
    LEASES,
    PODS,
    RBAC_GROUP,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from kubemr.local.apiserver.builtin_types import (
    BuiltinStrategy,
    check_config_map,
    check_event,
    check_job,
    check_lease,
    check_pod,
    check_secret,
    default_job,
    default_namespace,
    default_secret,
    initialize_job,
    initialize_namespace,
    initialize_pod,
)
from kubemr.local.apiserver.kinds import Kind
from kubemr.locks.effects import Json, Resource

_DATA: Final = {"data": "strings", "binaryData": "base64", "immutable": "bool"}
_EVENT: Final = {
    **dict.fromkeys(("involvedObject", "source", "series", "related"), "object"),
    **dict.fromkeys(("reason", "message", "type", "action", "reportingComponent", "reportingInstance"), "string"),
    **dict.fromkeys(("firstTimestamp", "lastTimestamp"), "string"),
    "count": "int32",
    "eventTime": "microtime",
}
_EVENT_ALWAYS: Final[Mapping[str, Json]] = {
    "involvedObject": {},
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}
_LEASE_SPEC: Final = {
    **dict.fromkeys(("holderIdentity", "strategy", "preferredHolder"), "string"),
    **dict.fromkeys(("leaseDurationSeconds", "leaseTransitions"), "int32"),
    **dict.fromkeys(("acquireTime", "renewTime"), "microtime"),
}
_SPEC_STATUS: Final = {"spec": "object", "status": "object"}
_ACCOUNT: Final = {"secrets": "list", "imagePullSecrets": "list", "automountServiceAccountToken": "bool"}
_SECRET: Final = {"data": "base64", "stringData": "strings", "immutable": "bool", "type": "string"}


_RBAC: Final = f"{RBAC_GROUP}/v1"
_METADATA: Final = ("metadata.name", "metadata.namespace")


def builtin_kinds() -> list[Kind]:
    """Return the built-in kinds, without custom resource definitions."""
    return [
        Kind(
            Resource("", "v1", "namespaces", False),
            *("Namespace", "namespace"),
            BuiltinStrategy(
                *("Namespace", "v1", _SPEC_STATUS), initialize=initialize_namespace, apply_defaults=default_namespace
            ),
            short_names=("ns",),
            fields=("metadata.name", "status.phase"),
            status=True,
            label_name=True,
        ),
        Kind(
            PODS,
            *("Pod", "pod"),
            BuiltinStrategy("Pod", "v1", _SPEC_STATUS, initialize=initialize_pod, rules=check_pod),
            short_names=("po",),
            categories=("all",),
            fields=(
                *_METADATA,
                *("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName"),
                *("spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"),
            ),
            status=True,
            generation=True,
            returns_deleted=True,
            graceful=True,
        ),
        Kind(
            CONFIG_MAPS,
            *("ConfigMap", "configmap"),
            BuiltinStrategy("ConfigMap", "v1", _DATA, rules=check_config_map),
            short_names=("cm",),
        ),
        Kind(
            SECRETS,
            *("Secret", "secret"),
            BuiltinStrategy("Secret", "v1", _SECRET, apply_defaults=default_secret, rules=check_secret),
            fields=(*_METADATA, "type"),
        ),
        Kind(
            SERVICE_ACCOUNTS,
            *("ServiceAccount", "serviceaccount"),
            BuiltinStrategy("ServiceAccount", "v1", _ACCOUNT),
            short_names=("sa",),
            returns_deleted=True,
        ),
        Kind(
            EVENTS,
            *("Event", "event"),
            BuiltinStrategy("Event", "v1", _EVENT, always=_EVENT_ALWAYS, rules=check_event),
            short_names=("ev",),
            fields=(
                *_METADATA,
                *(f"involvedObject.{key}" for key in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")),
                *("involvedObject.resourceVersion", "reason", "reportingComponent", "source", "type"),
            ),
            create_on_update=True,
        ),
        Kind(
            LEASES,
            *("Lease", "lease"),
            BuiltinStrategy("Lease", "v1", {"spec": "object"}, _LEASE_SPEC, always={"spec": {}}, rules=check_lease),
            create_on_update=True,
            unconditional_update=False,
        ),
        Kind(
            KUBERNETES_JOBS,
            *("Job", "job"),
            BuiltinStrategy(
                "Job", "v1", _SPEC_STATUS, initialize=initialize_job, apply_defaults=default_job, rules=check_job
            ),
            categories=("all",),
            fields=(*_METADATA, "status.successful"),
            status=True,
            generation=True,
            returns_deleted=False,
            orphans=True,
        ),
        Kind(ROLES, *("Role", "role"), BuiltinStrategy("Role", _RBAC, {"rules": "list"}, always={"rules": None})),
        Kind(
            ROLE_BINDINGS,
            *("RoleBinding", "rolebinding"),
            BuiltinStrategy("RoleBinding", _RBAC, {"roleRef": "object", "subjects": "list"}),
        ),
    ]
