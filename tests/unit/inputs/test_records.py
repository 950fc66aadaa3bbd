"""Cut anywhere, a file's records are read exactly once, in every kind of store."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kubemr.controller.inputs.sources import Found
from kubemr.controller.inputs.splitting import Cuts, tasks
from kubemr.coordination.splits import Split
from kubemr.storage import open_input
from kubemr.worker.records import BLOCK, records
from support.inputplaces import Place
from support.webservers import FileServer

Filled = Callable[[bytes], tuple[str, Callable[[str, int], BinaryIO]]]
"""From a file's content to its address and what opens it at an offset."""

CONTENTS = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\r", b"a", b"\xff\x00", b"word", b"x" * 40, b"\n\n", b"\r\n\r\n"]), max_size=60
).map(b"".join)
"""Short lines, long ones, empty ones, with ends of both kinds and letters that look like one."""


@pytest.fixture(params=["folder", "bucket", "web"])
def filled(request: pytest.FixtureRequest) -> Iterator[Filled]:
    """Each kind of store; every content is a new file."""
    numbers = itertools.count()
    with ExitStack() as stack:
        place: Place = request.getfixturevalue("folder" if request.param == "web" else request.param)
        root = place.root
        if request.param == "web":
            place.store.check()
            root = stack.enter_context(FileServer(Path(place.store.root))).url + "/"  # type: ignore[attr-defined]  # of a directory

        def fill(content: bytes) -> tuple[str, Callable[[str, int], BinaryIO]]:
            key = f"file-{next(numbers)}"
            place.store.put(key, content)
            return f"{root}{key}", lambda url, start: open_input(url, place.environ, start=start)

        yield fill


def expected(content: bytes) -> list[bytes]:
    """The records of a whole file."""
    lines = content.split(b"\n")
    last = lines.pop()
    return [line.removesuffix(b"\r") for line in lines] + ([last] if last else [])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENTS, size=st.integers(1, 30))
@example(content=b"", size=1)
@example(content=b"\n", size=1)
@example(content=b"no end", size=2)
@example(content=b"a\r\nb\r\n", size=2)
@example(content=b"ab\ncd\nef\n", size=3)
@example(content=b"x" * 200 + b"\ny", size=7)
def test_every_record_is_read_once(filled: Filled, content: bytes, size: int) -> None:
    """In order, whatever the cuts: in a record, between CR and LF, exactly at a boundary, many in one long record."""
    url, open_at = filled(content)
    texts = [text for text in tasks([Found(url, len(content))], Cuts(size, 1)) if text is not None]
    parts = [part for text in texts for part in Split.parse(text).parts]
    found = [record for part in parts for record in records(part, open_at)]
    assert found == expected(content)


def test_a_part_inside_a_long_record_is_not_read_further_than_its_own_end(folder: Place) -> None:
    """It has no records: the one to which all of it belongs may be larger than memory."""
    size = 2 * BLOCK
    content = b"a\n" + b"x" * 5 * size + b"\nb\n"
    folder.store.put("long", content)
    ends: list[int] = []

    class Stream(io.BufferedReader):
        def close(self) -> None:
            if not self.closed:
                ends.append(self.tell())
            super().close()

    def open_at(url: str, start: int) -> BinaryIO:
        stream = Stream(io.FileIO(str(Path(folder.store.root) / "long")))  # type: ignore[attr-defined]  # of a directory
        stream.seek(start)
        return stream

    texts = [text for text in tasks([Found(f"{folder.root}long", len(content))], Cuts(size, 1)) if text is not None]
    found = [list(records(Split.parse(text).parts[0], open_at)) for text in texts]
    assert found == [[b"a", b"x" * 5 * size], [], [], [], [b"b"]]
    assert ends == [5 * size + 3, *(number * size - 1 + 3 * BLOCK for number in (1, 2, 3)), len(content)]
