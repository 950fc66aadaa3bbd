"""Check the prose of Markdown pages: no sentence of more than 25 words, and no word that hides the actor.

    python tests/support/prose_check.py README.md docs/glossary.md

Without arguments it checks `PAGES`.  The rules, and what counts as prose, are:

- A sentence ends with `.`, `?` or `!` before a space, or where its block ends: a paragraph, list item, heading or cell.
  One that is wrapped over several lines is counted whole, unless a line ends with a colon.
- Each cell of a table is checked like a list item.  The names of the columns are cells, too.
- Fenced code and HTML comments are skipped, and inline code is one word, whatever it holds.
- Of a link only the text counts.
- `VAGUE` words are allowed in code and in the column of the glossary that lists replaced words.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = ("README.md", "docs/glossary.md", "docs/guarantees.md", "docs/locks.md", "docs/protocol.md")
MOST_WORDS: Final = 25
VAGUE: Final = ("nobody", "somebody", "whoever", "anew", "of its own", "for good")
REPLACED: Final = "replaces"
"""The column of the glossary in which `VAGUE` words may be quoted."""

_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_CODE = re.compile(r"(`+)(?:.+?)\1")
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_MARKER = re.compile(r"\s*(?:[-*+]|\d+[.)]|#+|>)\s+")
_RULE = re.compile(r"\s*\|?[\s:|-]*-[\s:|-]*$")
_END = re.compile(r"[.?!][\"')\]*_]*$")
_ABBREVIATIONS: Final = ("e.g.", "i.e.", "etc.", "vs.")
_VAGUE = re.compile(rf"\b({'|'.join(VAGUE)})\b", re.IGNORECASE)


@frozen
class Sentence:
    """A sentence without its inline code; `line` is where it begins, `column` the name of its column in a table."""

    line: int
    words: tuple[str, ...]
    column: str = ""

    def __str__(self) -> str:
        return " ".join(self.words)


@frozen
class _Piece:
    """One line of prose, or one cell; `opens` is True where a block begins."""

    line: int
    text: str
    opens: bool
    column: str = ""


def sentences(page: str) -> Iterator[Sentence]:
    """Split the prose of a page into sentences."""
    words: list[str] = []
    line, column = 0, ""
    for piece in _pieces(page):
        if piece.opens and words:
            yield Sentence(line, tuple(words), column)
            words = []
        tokens = piece.text.split()
        for token in tokens:
            if not words:
                line, column = piece.line, piece.column
            words.append(token)
            if _END.search(token) and token.lstrip("(").lower() not in _ABBREVIATIONS:
                yield Sentence(line, tuple(words), column)
                words = []
        if words and tokens and tokens[-1].endswith(":"):
            yield Sentence(line, tuple(words), column)
            words = []
    if words:
        yield Sentence(line, tuple(words), column)


def too_long(page: str) -> list[str]:
    """Return the line, the number of words and the beginning of each sentence of more than `MOST_WORDS` words."""
    found = []
    for sentence in sentences(page):
        count = sum(1 for word in sentence.words if re.search(r"\w", word))
        if count > MOST_WORDS:
            start = " ".join(sentence.words[:8])
            found.append(f"{sentence.line}: {count} words in a sentence, at most {MOST_WORDS}: {start} …")
    return found


def vague(page: str) -> list[str]:
    """Return the line of each `VAGUE` word, and the word."""
    return [
        f"{sentence.line}: '{word.lower()}': name the actor, or use a word of docs/glossary.md"
        for sentence in sentences(page)
        if sentence.column != REPLACED
        for word in _VAGUE.findall(str(sentence))
    ]


def _pieces(page: str) -> Iterator[_Piece]:
    """Yield the prose of a page, line by line and cell by cell, with inline code as one word."""
    lines = re.sub(r"<!--.*?-->", lambda found: "\n" * found[0].count("\n"), page, flags=re.DOTALL).splitlines()
    fence, columns, opens = "", None, True
    for number, line in enumerate(lines, start=1):
        found = _FENCE.match(line)
        if fence or found:
            if found and not fence:
                fence = found[1]
            elif line.strip().startswith(fence):
                fence = ""
            opens, columns = True, None
        elif line.lstrip().startswith("|"):
            cells = _cells(line)
            if columns is None:
                columns = cells
                yield from (_Piece(number, cell, True) for cell in cells)
            elif not _RULE.match(line):
                names = [*columns, *[""] * len(cells)]
                yield from (_Piece(number, cell, True, name) for cell, name in zip(cells, names, strict=False))
            opens = True
        else:
            columns = None
            marker = _MARKER.match(line)
            if line.strip():
                yield _Piece(number, _plain(line[marker.end() if marker else 0 :]), opens or marker is not None)
            opens = not line.strip() or line.startswith("#")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", _plain(line.strip()).strip("|"))]


def _plain(text: str) -> str:
    return _LINK.sub(r"\1", _LINK.sub(r"\1", _CODE.sub("code", text)))


def main(arguments: Sequence[str]) -> int:
    """Print each problem as file, line and what is wrong; 1 if there is one."""
    problems = [
        f"{name}:{problem}"
        for name in arguments or PAGES
        for page in [(ROOT / name).read_text(encoding="utf-8")]
        for problem in (*too_long(page), *vague(page))
    ]
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
