"""A manifest lists addresses, one per line; what is wrong in it is named by line, value and remedy."""

from __future__ import annotations

import re

import pytest

from kubemr.controller.inputs.access import Access, InputsError
from kubemr.controller.inputs.manifest import LONGEST
from kubemr.controller.inputs.sources import InputFile, find_files
from support.inputplaces import Place


def found(place: Place, text: bytes, *, sizes: bool = False, access: Access | None = None) -> list[InputFile | None]:
    """Return the files that a manifest lists."""
    place.store.put("list", text)
    return list(find_files([{"manifest": f"{place.root}list"}], access or place.access, sizes=sizes))


def test_addresses_one_per_line(place: Place) -> None:
    """Of every scheme, with blanks around them or in them; blank lines and comments say nothing."""
    text = "\ufeffs3://b/a b\r\n\n# not this\n  https://h/x?y#z  \nfile:///ä"
    assert found(place, text.encode()) == [
        InputFile("s3://b/a b", None),
        InputFile("https://h/x?y#z", None),
        InputFile("file:///ä", None),
    ]


def test_sizes_may_follow_a_tab(place: Place) -> None:
    """They need not be requested then: the files need not exist."""
    assert found(place, b"s3://nowhere/x\t12\nhttps://nowhere/y\t0\ns3://b/z\t9007199254740992", sizes=True) == [
        InputFile("s3://nowhere/x", 12),
        InputFile("https://nowhere/y", 0),
        InputFile("s3://b/z", 2**53),
    ]


def test_sizes_that_are_missing_are_asked_for(place: Place) -> None:
    """In the order of the lines, however many."""
    urls = place.fill(*(f"{number:03d}" + "x" * number for number in range(150)))
    listed = found(place, "\n".join(urls).encode(), sizes=True)
    assert listed == [InputFile(url, number + 3) for number, url in enumerate(urls)]


@pytest.mark.parametrize(
    ("text", "number", "problem", "quoted"),
    [
        (b"s3://b/x\nfoo\n", 2, "is not an address that begins with s3://", "foo"),
        (b"\n\nftp://x\n", 3, "is not an address", "ftp://x"),
        (b"s3://b/x\tmany", 1, "has no number of bytes after its tab", "s3://b/x\\tmany"),
        (b"s3://b/x\t-1", 1, "has no number of bytes", "s3://b/x\\t-1"),
        (b"s3://b/x\t\xd9\xa3", 1, "has no number of bytes", "s3://b/x\\t٣"),
        (b"s3://b/x\t9007199254740993", 1, "has a size of more than 9,007,199,254,740,992 bytes", "s3://b/x\\t90071"),
        (b"\xff", 1, "is not UTF-8 text", "\\\\xff"),
        (b"s3://b/" + b"x" * LONGEST, 1, f"of at most {LONGEST} bytes", "s3://b/xxx"),
        (b"s3://", 1, "is not an address", "s3://"),
    ],
)
def test_a_line_that_is_wrong(place: Place, text: bytes, number: int, problem: str, quoted: str) -> None:
    """Its number, what it says, and what to do."""
    with pytest.raises(InputsError) as error:
        found(place, text)
    assert str(error.value).startswith(f'spec.inputsFrom[0].manifest: "{place.root}list": line {number} ')
    assert problem in str(error.value)
    assert re.search(rf": '{re.escape(quoted)}.*; remedy: correct the line$", str(error.value)), str(error.value)


@pytest.mark.parametrize("text", [b"", b"\n# nothing\n"])
def test_a_manifest_that_lists_nothing(place: Place, text: bytes) -> None:
    """It is an error, as with the others."""
    with pytest.raises(InputsError, match=r"lists nothing; remedy: correct it"):
        found(place, text)


def test_a_manifest_that_is_missing(place: Place) -> None:
    """Its address is the value."""
    with pytest.raises(InputsError, match=r'inputsFrom\[0\]\.manifest: ".*/no-list": .*no-list.*; remedy: '):
        list(find_files([{"manifest": f"{place.root}no-list"}], place.access, sizes=False))


def test_a_listed_file_that_is_missing(place: Place) -> None:
    """Where its size is needed it is found out early, with the line."""
    (url,) = place.fill("there")
    with pytest.raises(InputsError, match=r"line 2 names a file that is not there: '.*/gone'; remedy: correct"):
        found(place, f"{url}\n{place.root}gone\n".encode(), sizes=True)


def test_sizes_are_not_asked_for_where_the_operator_may_not_look(folder: Place) -> None:
    """The manifest may say them instead."""
    access = Access({}, allowed=(folder.root,))
    with pytest.raises(InputsError, match=r"line 1 names no size.*: 'file:///etc/x'; remedy: append a tab"):
        found(folder, b"file:///etc/x\n", sizes=True, access=access)
    assert found(folder, b"file:///etc/x\n", access=access) == [InputFile("file:///etc/x", None)]
