"""Fill in the defaults of a job as the apiserver does."""

from __future__ import annotations

import copy

from kubemr.resources.crd import schema
from kubemr.resources.json_types import Json
from kubemr.resources.structural_schema import apply_defaults


def with_defaults(job: Json) -> Json:
    """A copy of a MapReduceJob with the schema's defaults; nulls that mean nothing are gone."""
    job = copy.deepcopy(job)
    apply_defaults(job, schema("MapReduceJob"))
    return job
