"""However a file is split, its records are read exactly once, in every kind of store."""

from __future__ import annotations

import gzip
import io
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kubemr.controller.inputs.sources import InputFile
from kubemr.controller.inputs.splitting import SplitSettings, task_inputs
from kubemr.coordination.splits import Part, Split
from kubemr.storage import open_input
from kubemr.worker.input.record_reader import BLOCK_BYTES, RecordsError, records
from support.inputplaces import Place
from support.webservers import FileServer, ScriptedServer, respond

Filled = Callable[[bytes], tuple[str, Callable[[str, int], BinaryIO]]]
"""From a file's content to its address and what opens it at an offset."""

CONTENTS = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\r", b"a", b"\xff\x00", b"word", b"x" * 40, b"\n\n", b"\r\n\r\n"]), max_size=60
).map(b"".join)
"""Short, long and empty lines, with line ends of both kinds and CR alone."""

MOST_PARTS = 50


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
    """Return the records of a whole file."""
    lines = content.split(b"\n")
    last = lines.pop()
    return [line.removesuffix(b"\r") for line in lines] + ([last] if last else [])


def cut(size: int, stated: int) -> SplitSettings:
    """Return parts of that size, or larger ones, so that a server gets few requests."""
    return SplitSettings(max(size, stated // MOST_PARTS), 1)


def parts(url: str, stated: int, cuts: SplitSettings) -> list[Part]:
    """Return what the map tasks read of a file whose stated size is `stated`."""
    texts = [text for text in task_inputs([InputFile(url, stated)], cuts) if text is not None]
    return [part for text in texts for part in Split.parse(text).parts]


@pytest.mark.long
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENTS, size=st.integers(1, 30))
@example(content=b"", size=1)
@example(content=b"\n", size=1)
@example(content=b"no end", size=2)
@example(content=b"a\r\nb\r\n", size=2)
@example(content=b"ab\ncd\nef\n", size=3)
@example(content=b"x" * 200 + b"\ny", size=7)
def test_every_record_is_read_once(filled: Filled, content: bytes, size: int) -> None:
    """In order, wherever the file is split: in a record, between CR and LF, at a boundary, often in one long record."""
    url, open_at = filled(content)
    found = [record for part in parts(url, len(content), cut(size, len(content))) for record in records(part, open_at)]
    assert found == expected(content)


@pytest.mark.long
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=CONTENTS, stated=st.integers(0, 400), size=st.integers(1, 30))
@example(content=b"ab\ncd\nef\n", stated=6, size=3)
@example(content=b"ab\ncd\nef\n", stated=8, size=3)
@example(content=b"ab\ncd\nef\n", stated=12, size=3)
@example(content=b"ab\ncd\nef\n", stated=0, size=3)
@example(content=b"x" * 200 + b"\ny", stated=100, size=7)
@example(content=b"", stated=9, size=3)
def test_a_size_that_is_wrong_loses_no_record(filled: Filled, content: bytes, stated: int, size: int) -> None:
    """A manifest may be wrong, and files change: either every record is read, or there is an error with the reason."""
    url, open_at = filled(content)
    named = parts(url, stated, cut(size, stated))
    if stated == len(content) or named[0].length is None:  # a whole file is read to its end, wherever that is
        assert [record for part in named for record in records(part, open_at)] == expected(content)
        return
    shown = str(len(content)) if stated < len(content) else r"no more than \d+"
    message = rf"^{re.escape(url)}: has {shown} bytes, and (\d+ at least|{stated}) by the manifest"
    with pytest.raises(RecordsError, match=message):
        list(itertools.chain.from_iterable(records(part, open_at) for part in named))


@pytest.mark.parametrize("stated", [0, 5, 900])
def test_a_compressed_file_is_whole_for_any_stated_size(folder: Place, stated: int) -> None:
    """It is not split."""
    packed = gzip.compress(b"a\nb\n" * 100)
    folder.store.put("x.gz", packed)
    (part,) = parts(f"{folder.root}x.gz", stated, SplitSettings(4, 1))
    assert len(list(records(part, lambda url, start: open_input(url, start=start)))) == 200


def test_the_end_is_found_without_another_request(folder: Place) -> None:
    """Each part costs one request."""
    folder.store.put("file", b"0123456789\n" * 10)
    with FileServer(Path(unquote(urlsplit(folder.root).path))) as server:
        for stated in (110, 99):
            named = parts(f"{server.url}/file", stated, SplitSettings(11, 1))
            with suppress(RecordsError):
                for part in named:
                    list(records(part, lambda url, start: open_input(url, start=start)))
            assert [method for method, *_ in server.requests] == ["GET"] * len(named)
            server.requests.clear()


def test_a_server_without_sizes() -> None:
    """The reader finds the end anyway, and does not ask for the size of the file."""
    answer = respond(200, b"0123456789", {"Content-Length": "", "ETag": '"1"'})
    with ScriptedServer(answer, answer) as server:
        good, bad = (Part(f"{server.url}/x", 4, length, last=True) for length in (6, 5))
        assert list(records(good, lambda url, start: open_input(url, start=start))) == []
        with pytest.raises(RecordsError, match=r"/x: has more than 9 bytes, and 9 by the manifest"):
            list(records(bad, lambda url, start: open_input(url, start=start)))


def test_a_part_inside_a_long_record_is_not_read_further_than_its_own_end(folder: Place) -> None:
    """It has no records: the one to which all of it belongs may be larger than memory."""
    size = 2 * BLOCK_BYTES
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

    texts = [
        text
        for text in task_inputs([InputFile(f"{folder.root}long", len(content))], SplitSettings(size, 1))
        if text is not None
    ]
    found = [list(records(Split.parse(text).parts[0], open_at)) for text in texts]
    assert found == [[b"a", b"x" * 5 * size], [], [], [], [b"b"]]
    assert ends == [5 * size + 3, *(number * size - 1 + 3 * BLOCK_BYTES for number in (1, 2, 3)), len(content)]
