"""Reject fields that the schema already has and that a later version will support.

They are rejected by name, never ignored.  A job either gets what it asks for, or an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from kubemr.resources.json_types import Json
from kubemr.resources.problem import Problem

KUBEMR_VERSION: Final = "0.2"

_IMAGE = "build an image with a JobWorker and name it in image"

UNSUPPORTED: Final[dict[str, tuple[str, Callable[[Json], bool], str]]] = {
    "spec.inputFormat.maxBadRecords": (
        "leaving out bad records",
        lambda value: value != 0,
        "leave it out; the worker decides what a record means to it",
    ),
    "spec.files": ("giving files to tasks", lambda value: True, "put the files into the image"),
    "spec.steps": ("running shell steps", lambda value: True, _IMAGE),
    "spec.program": ("running a Python file", lambda value: True, _IMAGE),
    "spec.output": ("publishing results elsewhere", lambda value: True, "leave it out; status.results lists them"),
}
"""By path: the feature, whether a value asks for it, and the remedy."""


def unsupported_fields(job: Json) -> Iterator[Problem]:
    """Yield a problem for each field that asks for a feature that this version lacks."""
    for path, (what, asks, remedy) in UNSUPPORTED.items():
        value = job
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None and asks(value):
            message = f"{what} is not supported by this version ({KUBEMR_VERSION})"
            yield Problem.of(path, value, message, remedy)
