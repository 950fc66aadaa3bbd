"""What the worker process submits to the child that runs user code, and what comes back.

An `Assignment` is one attempt at one task.
Each has exactly one `Outcome`, unless the worker withdrew or cancelled it.
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
    """What user code may know of its job (`self.job`): no credentials, nothing of the cluster."""

    name: str
    namespace: str = ""
    run: int = 1
    partitions: int = 0
    jobargs: Mapping[str, str] = field(factory=dict)


@frozen
class TaskInfo:
    """The running attempt (`self.task`)."""

    step: int
    stage: StageName
    number: int
    attempt: str

    def __str__(self) -> str:
        """Return the name that kubemr uses for an attempt, `[step/]map/17/2-w7-k2p4x9`, without step 0."""
        step = f"{self.step}/" if self.step else ""
        return f"{step}{self.stage}/{self.number}/{self.attempt}"


def _ends_in_slash(instance: object, attribute: Attribute[str], value: str) -> None:
    if value and not value.endswith("/"):
        raise ValueError(f"{attribute.name} {value!r}: a key prefix ends in a slash")


@frozen
class Assignment:
    """One attempt at one task.

    - `prefix`: the prefix of the attempt's keys in the object store, `…/<step>/<stage>/<task>/<attempt>/`
    - `partitions`: the number of partitions of the task's step
    - map task: its `input`
    - map task whose input the spec does not list: a chunk of the split plan (`chunk_key`) and the `position` in it
    - reduce task: the key of the map stage's index (`index_key`), and the prefix of that stage's keys (`source`,
      `…/<step>/map/`)
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
        """The attempt's identity, without its inputs."""
        return TaskInfo(self.step, self.stage, self.number, self.attempt)

    def __str__(self) -> str:
        return str(self.task)


field_values: Final[Callable[[Assignment], tuple[Any, ...]]] = attrgetter(*(each.name for each in fields(Assignment)))
"""Returns the fields of an `Assignment`, in order."""


@frozen
class Outcome:
    """How an attempt ended.

    - `kind`: `done` (the outputs are in the object store), `empty` (no outputs, nothing was written), or `failed`
    - `message`: why it failed; the first line is a summary, the rest is a traceback or the end of stderr
    - `seconds`: how long the attempt ran, without the start of the process
    - `log`: the content of `log.txt`, empty if nothing was printed
    - `start` and `end` (RFC 3339): only if the attempt failed or printed something
    """

    assignment: Assignment
    kind: OutcomeKind
    message: str = ""
    seconds: float = 0.0
    log: bytes = b""
    start: str = ""
    end: str = ""
