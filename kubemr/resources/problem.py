"""A mistake in a job: the field, its value, what is wrong and the remedy."""

from __future__ import annotations

from attrs import frozen

from kubemr.resources.go_format import marshal
from kubemr.resources.json_types import Json

MAX_VALUE = 80
"""How many characters of a rejected value are shown."""


@frozen
class Problem:
    """A mistake; `path` names the field (`spec.steps[0].mapper`), `value` shows what it holds, shortened."""

    path: str
    value: str
    message: str
    remedy: str

    @classmethod
    def of(cls, path: str, value: Json, message: str, remedy: str) -> Problem:
        """Return a problem with a value, which is shown as JSON; None is not shown."""
        return cls(path, "" if value is None else show(value), message, remedy)

    def __str__(self) -> str:
        value = f"{self.value}: " if self.value else ""
        return f"{self.path}: {value}{self.message}; remedy: {self.remedy}"


def show(value: Json) -> str:
    """Return a JSON value on one line, with at most `MAX_VALUE` characters."""
    text = marshal(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"
