"""Log lines are formatted for people."""

from __future__ import annotations

import pytest

from kubemr.cli.display.log_lines import format_line, may_explain_failure


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain words", "plain words"),
        ('{"no": "event"}', '{"no": "event"}'),
        ("{broken", "{broken"),
        (
            '{"event": "lease_taken", "level": "info", "timestamp": "2026-11-23T22:33:17.8Z", "worker": "w0", "n": 3}',
            "22:33:17 lease_taken worker=w0 n=3",
        ),
        (
            '{"event": "lost", "level": "error", "timestamp": "2026-11-23T22:33:17.8Z", "error": "two words"}',
            '22:33:17 ERROR lost error="two words"',
        ),
    ],
)
def test_events_are_shown_as_words(line: str, shown: str) -> None:
    """Time, unusual level, event and fields are shown; a line that is no event stays as it is."""
    assert format_line(line) == shown


def test_what_explains_a_failure() -> None:
    """Warnings, errors, and lines that are no events."""
    assert may_explain_failure("Traceback")
    assert may_explain_failure('{"event": "x", "level": "warning"}')
    assert not may_explain_failure('{"event": "x", "level": "info"}')
