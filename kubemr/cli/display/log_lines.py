"""Format lines for people: log events in JSON become `12:00:01 event key=value …`; other lines stay as they are."""

from __future__ import annotations

import json
from typing import Final

from kubemr.local.progress import StageCounts
from kubemr.locks.effects import Json

LEFT_OUT: Final = ("timestamp", "level", "event", "logger")
QUIET: Final = ("debug", "info")


def format_line(line: str) -> str:
    """Return the line as it is shown."""
    event = _event(line)
    if event is None:
        return line
    time = str(event.get("timestamp", ""))[11:19]
    level = event.get("level", "info")
    words = [time, "" if level in QUIET else str(level).upper(), str(event["event"])]
    fields = [f"{key}={_value(value)}" for key, value in event.items() if key not in LEFT_OUT]
    return " ".join(filter(None, [*words, *fields]))


def may_explain_failure(line: str) -> bool:
    """Decide whether the line may explain a failure: a warning, an error, or a line that is no log event."""
    event = _event(line)
    return event is None or event.get("level") not in QUIET


def failure_counts(stage: StageCounts) -> list[str]:
    """Return `["2 failed attempts"]`, or an empty list when no attempt of the stage has failed."""
    if not stage.failures:
        return []
    return [f"{stage.failures} failed attempt{'s' if stage.failures > 1 else ''}"]


def _event(line: str) -> Json | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if "event" in event else None


def _value(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if text and " " not in text else json.dumps(text)
