"""What user code may return, and what is said of anything else.

The commonest slips of a first worker (a forgotten `return`, a generator, bytes for text, a partition that
does not exist) each get an error that names the task, the value and the remedy.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Mapping
from typing import SupportsIndex

from kubemr.worker.assignment import TaskInfo


class InvalidReturnError(TypeError):
    """User code returned something else than its contract says."""


def map_outputs(task: TaskInfo, returned: object, partitions: int) -> dict[int, str]:
    """The outputs of a map task by partition.  Raises `InvalidReturnError`.

    With `partitions` 0 the job has no reduce stage, and a task has one output at most, under partition 0.
    """
    if not isinstance(returned, Mapping):
        raise InvalidReturnError(
            f"{task}: map returned {_show(returned)}; return a dict of partition number to output string, "
            f"{{}} for no output{_hint(returned)}"
        )
    outputs: dict[int, str] = {}
    for key, value in returned.items():
        partition = _partition(task, key, partitions)
        outputs[partition] = _text(task, value, f"map returned for partition {partition}")
    return outputs


def reduce_output(task: TaskInfo, returned: object) -> str:
    """The output of a reduce task, empty for none.  Raises `InvalidReturnError`."""
    if not isinstance(returned, str):
        raise InvalidReturnError(
            f"{task}: reduce returned {_show(returned)}; return the output string, "
            f"'' for success without a result{_hint(returned)}"
        )
    return _text(task, returned, "reduce returned")


def _partition(task: TaskInfo, key: object, partitions: int) -> int:
    if isinstance(key, bool) or not isinstance(key, SupportsIndex):
        hint = f": int({key!r}) perhaps" if isinstance(key, str) and key.isdecimal() else ""
        raise InvalidReturnError(f"{task}: map returned the partition {_show(key)}; partitions are integers{hint}")
    partition = operator.index(key)
    count = max(partitions, 1)
    if 0 <= partition < count:
        return partition
    if partitions == 0:
        remedy = "the job has no reduce stage (partitions: 0), so return {0: output}"
    else:
        remedy = (
            f"the job has {partitions} partitions, 0 to {partitions - 1}: "
            "take the key's hash modulo self.job.partitions, or raise spec.partitions"
        )
    raise InvalidReturnError(f"{task}: map returned the partition {partition}; {remedy}")


def _text(task: TaskInfo, value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidReturnError(
            f"{task}: {what} {_show(value)}; outputs are strings: "
            "keep data with self.store(name, data), which returns the URL to return here"
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidReturnError(
            f"{task}: {what} a string that is no valid Unicode ({error.reason} at {error.start}): "
            f"{_cut(ascii(value))}; decode bytes with errors='replace', or keep them with self.store(name, data)"
        ) from None
    return str(value)


def _hint(returned: object) -> str:
    if returned is None:
        return " (is a `return` missing?)"
    if inspect.iscoroutine(returned):
        returned.close()  # otherwise Python warns that it was never awaited, which is what we are saying
        return " (`async def` is not supported: use asyncio.run inside)"
    if inspect.isgenerator(returned):
        return " (it is a generator: collect what it yields first)"
    return ""


def _show(value: object) -> str:
    if value is None:
        return "None"
    return f"{_cut(repr(value))} ({type(value).__name__})"


def _cut(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}…"
