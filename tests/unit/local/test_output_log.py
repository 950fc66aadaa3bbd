"""The last lines of all processes."""

from __future__ import annotations

from kubemr.local.output_log import KEPT_CHARACTERS, KEPT_LINES, OutputLog


def test_the_last_lines_are_kept_with_their_sources() -> None:
    """They are kept in order, with a bounded length and a bounded number."""
    passed_on: list[tuple[str, str]] = []
    book = OutputLog(lambda source, line: passed_on.append((source, line)))
    for number in range(KEPT_LINES + 10):
        book.add(f"worker {number % 2}", f"{number} {'x' * KEPT_CHARACTERS * 2}")
    kept = book.last()
    assert len(kept) == KEPT_LINES
    assert kept[0][1].startswith("10 ")
    assert all(len(line) == KEPT_CHARACTERS for _, line in kept)
    assert len(passed_on) == KEPT_LINES + 10
    assert book.last(2) == kept[-2:]
    assert {source for source, _ in book.last(source="worker 1")} == {"worker 1"}
