"""What the runtime asks of the process that runs user code, and what comes of it.

An `Assignment` is one attempt at one task.  Exactly one `Outcome` comes back for each, unless the
runtime took the assignment back or cancelled it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, Literal, TypeAlias

from attr import Attribute, field, fields, frozen

StageName: TypeAlias = Literal["map", "reduce"]
OutcomeKind: TypeAlias = Literal["done", "empty", "failed"]


@frozen
class JobInfo:
    """What user code may know of its job (`self.job`): never its keys or its cluster."""

    name: str
    namespace: str = ""
    run: int = 1
    partitions: int = 0
    jobargs: Mapping[str, str] = field(factory=dict)


@frozen
class TaskInfo:
    """Which attempt is running (`self.task`)."""

    step: int
    stage: StageName
    number: int
    attempt: str

    def __str__(self) -> str:
        """Return the task's name as everywhere in kubemr, `[step/]map/17/2-w7-k2p4x9`; step 0 is not written."""
        step = f"{self.step}/" if self.step else ""
        return f"{step}{self.stage}/{self.number}/{self.attempt}"


def _ends_in_slash(instance: object, attribute: Attribute[str], value: str) -> None:
    if value and not value.endswith("/"):
        raise ValueError(f"{attribute.name} {value!r}: a key prefix ends in a slash")


@frozen
class Assignment:
    """One attempt at one task.

    `prefix` is the prefix of the attempt's keys in the object store, `…/<step>/<stage>/<task>/<attempt>/`.
    `partitions` is that of the task's step.  A map task has an `input`, or where the spec does not list them the key of
    the chunk that does (`chunk_key`) and its place there (`position`).  A reduce task has the key of its map stage's
    index (`index_key`) and the prefix of that stage's keys (`source`, `…/<step>/map/`).
    """

    step: int
    stage: StageName
    number: int
    attempt: str
    prefix: str = field(validator=_ends_in_slash)
    partitions: int
    input: str = ""
    chunk_key: str = ""
    position: int = 0
    index_key: str = ""
    source: str = field(default="", validator=_ends_in_slash)

    @property
    def task(self) -> TaskInfo:
        """Its identity without what to do."""
        return TaskInfo(self.step, self.stage, self.number, self.attempt)

    def __str__(self) -> str:
        return str(self.task)


field_values: Final[Callable[[Assignment], tuple[Any, ...]]] = attrgetter(*(each.name for each in fields(Assignment)))
"""What `Assignment` was made of, in order."""


@frozen
class Outcome:
    """How an attempt ended.

    `done`: its outputs are in the object store.  `empty`: it has none, and nothing was written.
    `failed`: `message` says why; its first line is a summary, the rest a traceback or the end of stderr.
    `seconds` is how long the attempt ran, without the start of the process.
    `log` is what goes into `log.txt`, empty when nothing was printed.  `start` and `end` (RFC 3339) are there when it
    failed.
    """

    assignment: Assignment
    kind: OutcomeKind
    message: str = ""
    seconds: float = 0.0
    log: bytes = b""
    start: str = ""
    end: str = ""
