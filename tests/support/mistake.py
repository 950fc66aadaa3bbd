"""One kind of mistake that people make in a MapReduceJob, and texts to make mistakes in."""

from __future__ import annotations

from typing import Any, Literal

import yaml
from attrs import frozen

Refuser = Literal["schema", "rule", "beyond"]


@frozen
class Mistake:
    """One entry of the table: the YAML, the path that must be named, and a pattern of the message.

    `by` says who refuses it besides `validate`: the CRD (`schema`, by keywords or unknown fields; `rule`, by CEL) or
    nobody (`beyond`).
    """

    name: str
    by: Refuser
    text: str
    path: str
    words: str

    @property
    def job(self) -> Any:
        """The job; a text without `spec` at its top is the spec."""
        document = yaml.safe_load(self.text)
        if "spec" not in document and "kind" not in document:
            document = {"spec": document}
        return {
            "apiVersion": "turbobytes.com/v1alpha1",
            "kind": "MapReduceJob",
            "metadata": {"generateName": "mistake-"},
            **document,
        }


def image_job(rest: str) -> str:
    return f"image: team/words\ninputs: [a, b]\n{rest}"


def step_job(rest: str) -> str:
    return f"inputs: [a]\nsteps: [{{mapper: {{command: [cat]}}, {rest}}}]"


def python_job(rest: str) -> str:
    return f"inputs: [a]\nprogram: {{python: {{source: {{configMapKeyRef: {{name: src, key: wc.py}}}}, {rest}}}}}"


S3 = "storage: {{s3: {{bucket: kubemr, {}}}}}"
FROM = "steps: [{{mapper: {{command: [cat]}}}}]\ninputsFrom: [{{{}}}]"
SHA = "0" * 64
