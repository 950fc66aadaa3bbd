"""The pages that readers from outside meet first keep to the rules of CONTRIBUTING.md, "Words"."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.prose_check import MOST_WORDS, PAGES, ROOT, main, sentences, too_long, vague

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
LIMIT = " ".join(f"word{number}" for number in range(MOST_WORDS))
"""The longest sentence that is allowed, without its full stop."""


@pytest.mark.parametrize("name", PAGES)
def test_no_sentence_is_long(name: str) -> None:
    """A sentence has at most 25 words, in text and in the cells of tables."""
    assert too_long((ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", PAGES)
def test_the_actor_is_named(name: str) -> None:
    """The pages name a process where others write "nobody", and use plain words for "anew" and "for good"."""
    assert vague((ROOT / name).read_text(encoding="utf-8")) == []


def test_the_glossary_names_what_exists() -> None:
    """The last column of each row of the glossary names modules or pages that are there."""
    rows = [line.split("|")[-2] for line in GLOSSARY.splitlines() if line.startswith("| ") and " where " not in line]
    rows = [row for row in rows if "---" not in row]
    assert len(rows) >= 25
    for row in rows:
        modules, pages = re.findall(r"`(kubemr/[^`]+)`", row), re.findall(r"\]\(([^)]+)\)", row)
        assert modules or pages, row
        assert [path for path in modules if not (ROOT / path).is_file()] == []
        assert [path for path in pages if not (ROOT / "docs" / path).is_file()] == []


@pytest.mark.parametrize(
    "page",
    [
        f"{LIMIT} more.",
        f"- item\n- {LIMIT} more",
        f"1. {LIMIT} more",
        f"# {LIMIT} more",
        f"> {LIMIT} more.",
        f"| a | b |\n| --- | --- |\n| short | {LIMIT} more |",
        f"| a | {LIMIT} more |\n| --- | --- |",
        f"Short. {LIMIT} more. Short.",
        "wrapped\n" + LIMIT.replace(" ", "\n") + ".",
        f"wrapped, with `code\n{LIMIT}",
        f"- item\n  that goes on\n  {LIMIT}",
        f"{LIMIT} [link with two](https://example.com/a).",
        f"One (e.g. {LIMIT}).",
        f"```\ncode\n```\n{LIMIT} more.",
    ],
)
def test_a_long_sentence_is_found(page: str) -> None:
    """One word more than the limit is one problem, whatever the sentence stands in."""
    assert len(too_long(page)) == 1


@pytest.mark.parametrize(
    "page",
    [
        f"{LIMIT}.",
        f"{LIMIT}? {LIMIT}! {LIMIT}.",
        f"({LIMIT}.) {LIMIT}.",
        f"{LIMIT}\n\n{LIMIT}",
        f"{LIMIT}:\n{LIMIT}",
        f"{LIMIT}\n- {LIMIT}\n- {LIMIT}\n1. {LIMIT}",
        f"# {LIMIT}\n{LIMIT}",
        f"| a | b |\n| --- | :-: |\n| {LIMIT} | {LIMIT}. {LIMIT} |\n{LIMIT}",
        f"```\n{LIMIT} more\n```",
        f"{LIMIT}\n\n   ~~~~sh\n   {LIMIT} more\n   ~~~\n   {LIMIT} more\n   ~~~~\n{LIMIT}",
        f"<!-- {LIMIT} more\n{LIMIT} -->",
        f"`{LIMIT} more`, ``{LIMIT} ` more``.",
        f"| a |\n| --- |\n| `{LIMIT} | {LIMIT}` |",
        f"[{LIMIT}](https://example.com/a) — → [![](a b c)](d)",
    ],
)
def test_what_is_not_a_long_sentence(page: str) -> None:
    """Blocks end sentences; code, comments and addresses are not prose; signs are not words."""
    assert too_long(page) == []


def test_a_sentence_is_located() -> None:
    """A problem names the line where the sentence begins, and the number of its words."""
    found = too_long(f"# Title\n\nShort.\n{LIMIT}\nand more.\n")
    assert found[0].startswith("4: 27 words ")


def test_vague_words() -> None:
    """They are found in any case and as parts of a phrase over two lines, but not within other words or in code."""
    page = "Fine.\nNobody waits.\nIt has one of\nits own.\n`nobody` is code, and nobodyless is a word.\n"
    assert [problem.split(":")[:2] for problem in vague(page)] == [["2", " 'nobody'"], ["3", " 'of its own'"]]


def test_replaced_words_may_be_listed() -> None:
    """The glossary's column of replaced words may quote vague words; other columns may not."""
    page = "| term | replaces |\n| --- | --- |\n| again | anew |\n| anew | again |\n"
    assert [problem.split(":")[0] for problem in vague(page)] == ["4"]


def test_sentences_keep_their_words() -> None:
    """A sentence is the words of its text, with the text of links and one word for inline code."""
    (first, second) = sentences("Read [the page](x.md) and `a b`, too.\nThen\nstop.\n")
    assert (str(first), first.line) == ("Read the page and code, too.", 1)
    assert (str(second), second.line) == ("Then stop.", 2)


def test_the_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run on a file, it prints file, line and problem, and fails; it succeeds on a file without problems."""
    bad, good = tmp_path / "bad.md", tmp_path / "good.md"
    bad.write_text(f"Fine.\n{LIMIT} anew.\n")
    good.write_text(f"{LIMIT}.\n")
    assert main([str(bad), str(good)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith(f"{bad}:2: ") for line in lines] == [True, True]
    assert (main([str(good)]), capsys.readouterr().out) == (0, "")
