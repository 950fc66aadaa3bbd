"""What user code may return, and the error messages for anything else.

Common mistakes in a first worker get an error that names the task, the value and the remedy:
a forgotten `return`, a generator, bytes for text, a partition that does not exist.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Mapping
from typing import SupportsIndex

from kubemr.worker.assignment import TaskInfo


class InvalidReturnError(TypeError):
    """User code returned a value that its contract does not allow."""


def map_outputs(task: TaskInfo, returned: object, partitions: int) -> dict[int, str]:
    """Return the outputs of a map task by partition; raise `InvalidReturnError` if `returned` is not valid.

    With `partitions` 0 the job has no reduce stage, and a task has at most one output, in partition 0.
    """
    if not isinstance(returned, Mapping):
        raise InvalidReturnError(
            f"{task}: map returned {_describe(returned)}; return a dict of partition number to output string, "
            f"{{}} for no output{_hint(returned)}"
        )
    outputs: dict[int, str] = {}
    for key, value in returned.items():
        partition = _checked_partition(task, key, partitions)
        outputs[partition] = _checked_text(task, value, f"map returned for partition {partition}")
    return outputs


def reduce_output(task: TaskInfo, returned: object) -> str:
    """Return the output of a reduce task, empty for none; raise `InvalidReturnError` if `returned` is not valid."""
    if not isinstance(returned, str):
        raise InvalidReturnError(
            f"{task}: reduce returned {_describe(returned)}; return the output string, "
            f"'' for success without a result{_hint(returned)}"
        )
    return _checked_text(task, returned, "reduce returned")


def _checked_partition(task: TaskInfo, key: object, partitions: int) -> int:
    if isinstance(key, bool) or not isinstance(key, SupportsIndex):
        hint = f": int({key!r}) perhaps" if isinstance(key, str) and key.isdecimal() else ""
        raise InvalidReturnError(f"{task}: map returned the partition {_describe(key)}; partitions are integers{hint}")
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


def _checked_text(task: TaskInfo, value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidReturnError(
            f"{task}: {what} {_describe(value)}; outputs are strings: "
            "keep data with self.store(name, data), which returns the URL to return here"
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidReturnError(
            f"{task}: {what} a string that is no valid Unicode ({error.reason} at {error.start}): "
            f"{_shorten(ascii(value))}; decode bytes with errors='replace', or keep them with self.store(name, data)"
        ) from None
    return str(value)


def _hint(returned: object) -> str:
    if returned is None:
        return " (is a `return` missing?)"
    if inspect.iscoroutine(returned):
        returned.close()  # otherwise Python warns that it was never awaited, which the hint says
        return " (`async def` is not supported: use asyncio.run inside)"
    if inspect.isgenerator(returned):
        return " (it is a generator: collect what it yields first)"
    return ""


def _describe(value: object) -> str:
    if value is None:
        return "None"
    return f"{_shorten(repr(value))} ({type(value).__name__})"


def _shorten(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:100]}…"
