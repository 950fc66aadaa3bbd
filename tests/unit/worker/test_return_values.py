"""What map and reduce may return."""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Iterator
from enum import StrEnum
from types import MappingProxyType

import pytest

from kubemr.worker.assignment import TaskInfo
from kubemr.worker.execution.return_values import InvalidReturnError, map_outputs, reduce_output

MAP = TaskInfo(0, "map", 17, "1-w0-abc123")
REDUCE = TaskInfo(1, "reduce", 3, "2-w1-abc123")


class Index:
    """An integer as numpy's are: no int, but good as an index."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Url(StrEnum):
    """Strings of another class."""

    ONE = "s3://kubemr/one"


def generated() -> Iterator[tuple[int, str]]:
    """What a map with a `yield` returns."""
    yield 0, "a"


async def promised() -> dict[int, str]:
    """What a map declared `async` returns."""
    return {}


GOOD_MAPS: list[tuple[object, dict[int, str]]] = [
    ({}, {}),
    ({0: "a", 31: "b"}, {0: "a", 31: "b"}),
    ({5: ""}, {5: ""}),
    (OrderedDict({1: "ä\n"}), {1: "ä\n"}),
    (MappingProxyType({1: "x"}), {1: "x"}),
    ({Index(7): "x"}, {7: "x"}),
    ({0: Url.ONE}, {0: "s3://kubemr/one"}),
]

WRONG_MAPS: list[tuple[object, int, str]] = [
    (None, 32, r"map returned None; return a dict .*, \{\} for no output \(is a `return` missing\?\)"),
    ("s3://x", 32, r"map returned 's3://x' \(str\); return a dict"),
    ([(0, "a")], 32, r"map returned \[\(0, 'a'\)\] \(list\); return a dict"),
    ({0, 1}, 32, r"map returned \{0, 1\} \(set\)"),
    (generated(), 32, r"\(generator\); .*collect what it yields first"),
    (promised(), 32, r"\(coroutine\); .*`async def` is not supported"),
    ({40: "a"}, 32, r"the partition 40; the job has 32 partitions, 0 to 31: .*or raise spec\.partitions"),
    ({32: "a"}, 32, r"the partition 32; the job has 32 partitions"),
    ({-1: "a"}, 32, r"the partition -1; the job has 32 partitions"),
    ({Index(99): "a"}, 32, r"the partition 99;"),
    ({1: "a"}, 0, r"the partition 1; the job has no reduce stage \(partitions: 0\), so return \{0: output\}"),
    ({True: "a"}, 32, r"the partition True \(bool\); partitions are integers"),
    ({1.0: "a"}, 32, r"the partition 1\.0 \(float\); partitions are integers"),
    ({None: "a"}, 32, r"the partition None; partitions are integers"),
    ({"word": "a"}, 32, r"the partition 'word' \(str\); partitions are integers$"),
    ({"3": "a"}, 32, r"the partition '3' \(str\); partitions are integers: int\('3'\) perhaps"),
    ({0: None}, 32, r"map returned for partition 0 None; outputs are strings: keep data with self\.store"),
    ({0: b"a"}, 32, r"for partition 0 b'a' \(bytes\); outputs are strings"),
    ({0: 7}, 32, r"for partition 0 7 \(int\)"),
    ({0: ["a"]}, 32, r"for partition 0 \['a'\] \(list\)"),
    (Counter({1: 2}), 32, r"for partition 1 2 \(int\)"),
    ({0: "caf\udce9"}, 32, r"no valid Unicode \(surrogates not allowed at 3\): 'caf\\udce9'"),
    ("x" * 1000, 32, r"map returned 'x{99}… \(str\)"),
]

WRONG_REDUCES: list[tuple[object, str]] = [
    (None, r"reduce returned None; return the output string, '' for success without a result \(is a `return` missing"),
    ({}, r"reduce returned \{\} \(dict\); return the output string"),
    (b"x", r"reduce returned b'x' \(bytes\)"),
    (0, r"reduce returned 0 \(int\)"),
    (False, r"reduce returned False \(bool\)"),
    (promised(), r"`async def` is not supported"),
    ("\ud800", r"reduce returned a string that is no valid Unicode"),
]


@pytest.mark.parametrize(("returned", "outputs"), GOOD_MAPS)
def test_a_mapping_of_partitions_to_strings_is_right(returned: object, outputs: dict[int, str]) -> None:
    """Any mapping, any integer (numpy's too), any string; the empty string is an output like another."""
    found = map_outputs(MAP, returned, 32)
    assert found == outputs
    assert all(type(partition) is int and type(output) is str for partition, output in found.items())


@pytest.mark.parametrize(("returned", "partitions", "error"), WRONG_MAPS)
def test_anything_else_from_map_names_the_task_the_value_and_the_remedy(
    returned: object, partitions: int, error: str
) -> None:
    """The message begins with the task."""
    with pytest.raises(InvalidReturnError, match=rf"^map/17/1-w0-abc123: .*{error}"):
        map_outputs(MAP, returned, partitions)


def test_without_a_reduce_stage_there_is_one_partition() -> None:
    """A job that only maps has one output per task."""
    assert map_outputs(MAP, {0: "a"}, 0) == {0: "a"}


@pytest.mark.parametrize("returned", ["", "s3://kubemr/0.txt", Url.ONE])
def test_a_string_from_reduce_is_right(returned: str) -> None:
    """The empty string is a success without a result."""
    assert reduce_output(REDUCE, returned) == str(returned)


@pytest.mark.parametrize(("returned", "error"), WRONG_REDUCES)
def test_anything_else_from_reduce_names_the_task_the_value_and_the_remedy(returned: object, error: str) -> None:
    """The message begins with the task."""
    with pytest.raises(InvalidReturnError, match=rf"^{re.escape('1/reduce/3/2-w1-abc123')}: .*{error}"):
        reduce_output(REDUCE, returned)
