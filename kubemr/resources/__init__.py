"""kubemr's resource types: defined once as attrs classes, from which everything else is derived.

- `crd(kind)`, `schema(kind)`: the CustomResourceDefinition and its schema, as dicts
- `validate(job)`: every mistake of a job, for the operator and the command line
- `with_defaults(job)`: the job with the schema's defaults
- `parse(MapReduceJob, document)`, `to_json(object)`: typed objects
- `kubemr.resources.structural_schema`, `.cel_evaluation`: what the apiserver does with schema and rules
"""

from kubemr.resources.crd import crd, schema, with_defaults
from kubemr.resources.definitions.objects import API_VERSION, GROUP, VERSION, MapReduceJob, MapReduceTaskShard
from kubemr.resources.parse import ParseError, parse, to_json
from kubemr.resources.problem import Problem
from kubemr.resources.validate import validate, validate_change

__all__ = [
    "API_VERSION",
    "GROUP",
    "VERSION",
    "MapReduceJob",
    "MapReduceTaskShard",
    "ParseError",
    "Problem",
    "crd",
    "parse",
    "schema",
    "to_json",
    "validate",
    "validate_change",
    "with_defaults",
]
