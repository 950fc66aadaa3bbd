"""One thing that is wrong with a job: where, what it says, why that is wrong and what to do."""

from __future__ import annotations

from attrs import frozen

from kubemr.resources.go_format import marshal
from kubemr.resources.json_types import Json

MAX_VALUE = 80
"""How many characters of a refused value are shown."""


@frozen
class Problem:
    """`path` names the field (`spec.steps[0].mapper`), `value` shows what it holds, shortened."""

    path: str
    value: str
    message: str
    remedy: str

    @classmethod
    def of(cls, path: str, value: Json, message: str, remedy: str) -> Problem:
        """A problem with a value that is shown as JSON; None is shown as nothing."""
        return cls(path, "" if value is None else show(value), message, remedy)

    def __str__(self) -> str:
        value = f"{self.value}: " if self.value else ""
        return f"{self.path}: {value}{self.message}; remedy: {self.remedy}"


def show(value: Json) -> str:
    """A JSON value on one line, at most `MAX_VALUE` characters of it."""
    text = marshal(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"
