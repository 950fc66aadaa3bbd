"""The CustomResourceDefinitions as dicts, without YAML and without a file."""

from __future__ import annotations

import copy
from functools import cache

from kubemr.resources.definitions.objects import GROUP, KINDS, VERSION, Column
from kubemr.resources.definitions.spec import JobSpec, transition_rules
from kubemr.resources.json_types import Json, Schema
from kubemr.resources.schema import object_schema
from kubemr.resources.structural_schema import apply_defaults


@cache
def schema(kind: str) -> Schema:
    """Return the `openAPIV3Schema` of a kind.  Callers share it and must not change it."""
    return object_schema(KINDS[kind], {JobSpec: transition_rules()})


def with_defaults(job: Json) -> Json:
    """Return a copy of a MapReduceJob with the schema's defaults, without nulls that are not allowed."""
    job = copy.deepcopy(job)
    apply_defaults(job, schema("MapReduceJob"))
    return job


@cache
def crd(kind: str) -> Json:
    """Return the CustomResourceDefinition of a kind.  Callers share it and must not change it."""
    served = KINDS[kind].KIND
    version: dict[str, Json] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema(kind)},
        "additionalPrinterColumns": [_column(column) for column in served.columns],
    }
    subresources: dict[str, Json] = {}
    if served.status:
        subresources["status"] = {}
    if served.scale:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    if subresources:
        version["subresources"] = subresources
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{served.plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "kubemr"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": served.plural,
                "singular": kind.lower(),
                "shortNames": [served.short],
                "categories": ["kubemr"],
            },
            "versions": [version],
        },
    }


def _column(column: Column) -> Json:
    entry: dict[str, Json] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return {**entry, "priority": 1} if column.wide else entry
