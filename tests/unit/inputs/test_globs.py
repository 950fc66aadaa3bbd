"""A glob: `*` and `?` stay in one folder, `**` crosses folders, brackets name characters, all else means itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.resources.glob import compile_glob


@pytest.mark.parametrize(
    ("glob", "matches", "others"),
    [
        ("b/*.gz", ["b/x.gz", "b/.gz"], ["b/a/x.gz", "b/x.gz2", "c/x.gz"]),
        ("b/**/*.gz", ["b/x.gz", "b/a/x.gz", "b/a/c/x.gz"], ["bb/x.gz", "b/a/x"]),
        ("b/**", ["b/x", "b/a/x"], ["b", "bx"]),
        ("b/a?c", ["b/abc", "b/aäc"], ["b/ac", "b/a/c"]),
        ("b/[a-c]x", ["b/ax", "b/cx"], ["b/dx", "b/x"]),
        ("b/[!a-c]x", ["b/dx", "b/-x"], ["b/ax", "b//x"]),
        ("b/[+-9]", ["b/0", "b/."], ["b//"]),
        ("b/[^\\]", ["b/^", "b/\\"], ["b/a"]),
        ("b/a.c(1)", ["b/a.c(1)"], ["b/abc(1)", "b/a.c1"]),
        ("b/*/y/**/z", ["b/x/y/z", "b/x/y/a/b/z"], ["b/y/z", "b/x/a/y/z"]),
    ],
)
def test_what_a_glob_matches(glob: str, matches: list[str], others: list[str]) -> None:
    """Whole addresses."""
    _, pattern = compile_glob(glob)
    assert [text for text in (*matches, *others) if pattern.fullmatch(text)] == matches


@pytest.mark.parametrize(
    ("glob", "begin"), [("b/2025/x-*.gz", "b/2025/x-"), ("b/**/x", "b/"), ("b/x", "b/x"), ("b/[ab]/x*", "b/")]
)
def test_what_all_matches_begin_with(glob: str, begin: str) -> None:
    """Nothing else has to be listed."""
    assert compile_glob(glob)[0] == begin


@given(st.text(st.characters(exclude_characters="*?[]", exclude_categories=["Cs"])))
def test_a_text_without_wildcards_is_itself(text: str) -> None:
    """And nothing else."""
    begin, pattern = compile_glob(text)
    assert begin == text
    assert pattern.fullmatch(text)
    assert not pattern.fullmatch(text + "x")


def test_brackets_that_can_match_nothing() -> None:
    """They are an error, with the reason."""
    with pytest.raises(ValueError, match="bad character range z-a"):
        compile_glob("b/[z-a]")
