"""Files become map tasks: large ones are cut, small ones packed, and every byte of each is in exactly one task."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.controller.inputs.sources import InputFile
from kubemr.controller.inputs.splitting import LONGEST_INPUT, PROGRESS_EVERY_FILES, SplitSettings, task_inputs
from kubemr.coordination.splits import Part, Split, compression_of
from kubemr.locks.effects import Json

SIZES = st.lists(st.integers(0, 400), max_size=40)


def splits(sizes: list[int], cuts: SplitSettings, ending: str = "") -> list[Split]:
    """Return the tasks of files of these sizes; each file is named after its number."""
    files = [InputFile(f"s3://b/{number}{ending}", size) for number, size in enumerate(sizes)]
    return [Split.parse(text) for text in task_inputs(files, cuts) if text is not None]


@given(SIZES, st.integers(1, 100), st.integers(1, 5))
def test_every_byte_is_in_one_task(sizes: list[int], size: int, max_files: int) -> None:
    """Whole files once, pieces one after another from the first byte to the last; nothing is larger than it may be."""
    pieces: dict[str, list[tuple[int, int]]] = {}
    for split in splits(sizes, SplitSettings(size, max_files)):
        assert 1 <= len(split.parts) <= max_files
        whole = [sizes[int(part.url[7:])] for part in split.parts if part.length is None]
        assert len(whole) in (0, len(split.parts)), "a piece is its own task"
        assert len(whole) <= 1 or sum(whole) <= size
        for part in split.parts:
            length = sizes[int(part.url[7:])] if part.length is None else part.length
            assert part.last == (part.length is not None and part.start + length == sizes[int(part.url[7:])])
            assert length <= size * 1.1
            pieces.setdefault(part.url, []).append((part.start, length))
    assert set(pieces) == {f"s3://b/{number}" for number in range(len(sizes))}
    for number, length in enumerate(sizes):
        position = 0
        for start, more in pieces[f"s3://b/{number}"]:
            assert start == position
            position += more
        assert position == length


@given(SIZES, st.integers(1, 100), st.sampled_from(["Auto", "Gzip"]))
def test_compressed_files_are_not_cut(sizes: list[int], size: int, compression: str) -> None:
    """A record cannot be found in the middle of them."""
    parts = [part for split in splits(sizes, SplitSettings(size, 3, compression), ".gz") for part in split.parts]
    assert parts == [Part(f"s3://b/{number}.gz", compression="Gzip") for number in range(len(sizes))]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.gz", "Gzip"),
        ("a.GZ", "Gzip"),
        ("a.bz2", "Bzip2"),
        ("a.xz", "Xz"),
        ("a.zst", "Zstd"),
        ("a.gz.txt", "None"),
        ("agz", "None"),
    ],
)
def test_compression_goes_by_the_ending(name: str, kind: str) -> None:
    """Unless the job says."""
    assert compression_of(name) == kind
    assert splits([1000], SplitSettings(10, 1, "None"), ".gz")[0].parts[0] == Part("s3://b/0.gz", 0, 10)


def test_a_small_rest_stays_with_the_last_piece() -> None:
    """Up to a tenth."""
    assert [(split.parts[0].start, split.parts[0].length) for split in splits([210], SplitSettings(100, 1))] == [
        (0, 100),
        (100, 110),
    ]
    assert [split.parts[0].length for split in splits([211], SplitSettings(100, 1))] == [100, 100, 11]
    assert splits([110], SplitSettings(100, 1)) == [Split((Part("s3://b/0"),))]


def test_a_task_names_no_more_files_than_its_input_can_hold() -> None:
    """Whatever `maxFiles` says: an input is read as a whole."""
    files = [InputFile(f"s3://b/{number:01000d}", 0) for number in range(1000)]
    texts = [text for text in task_inputs(files, SplitSettings(100, 100_000)) if text is not None]
    assert len(texts) > 2
    assert max(map(len, texts)) < LONGEST_INPUT * 1.1
    assert sum(len(Split.parse(text).parts) for text in texts) == 1000


def test_packing_lets_others_in_between() -> None:
    """A million small files may be few tasks."""
    found = list(task_inputs([InputFile("s3://b/x", 0)] * (3 * PROGRESS_EVERY_FILES), SplitSettings(100, 100_000)))
    assert found.count(None) == 3


@pytest.mark.parametrize(
    ("spec", "cuts"),
    [
        ({}, None),
        ({"split": {}}, SplitSettings(64 << 20, 1000)),
        (
            {"split": {"size": "1.5Ki", "maxFiles": 3}, "inputFormat": {"compression": "Xz"}},
            SplitSettings(1536, 3, "Xz"),
        ),
        ({"split": {"size": 7}, "inputFormat": {}}, SplitSettings(7, 1000)),
    ],
)
def test_what_the_spec_says(spec: Json, cuts: SplitSettings | None) -> None:
    """With the schema's defaults."""
    assert SplitSettings.of(spec) == cuts


def test_the_input_of_a_task() -> None:
    """docs/protocol.md, "Splits": what is not there has its plain meaning."""
    pieces = (Part("s3://b/x", 5, 10), Part("s3://b/x", 15, 3, last=True))
    split = Split((Part("s3://b/ä"), *pieces, Part("s3://b/y.gz", compression="Gzip")))
    text = (
        '{"files":[{"url":"s3://b/ä"},{"url":"s3://b/x","start":5,"length":10},'
        '{"url":"s3://b/x","start":15,"length":3,"last":true},{"url":"s3://b/y.gz","compression":"Gzip"}]}'
    )
    assert split.encode() == text
    assert Split.parse(text) == split


@pytest.mark.parametrize("text", ["s3://b/x", "{}", "[]", '{"files": [{}]}', '{"files": 3}', '{"files":["x"]}'])
def test_what_is_no_split(text: str) -> None:
    """It is shown, with what was expected."""
    with pytest.raises(ValueError, match=r'is not a split: .*spec\.split, {"files"'):
        Split.parse(text)
