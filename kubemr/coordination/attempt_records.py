"""The records of an attempt, for people: what it printed, why it failed, that its worker died.

They are three small objects beside its outputs, each written only if it has content (docs/protocol.md, "Storage").
An attempt that prints nothing and succeeds has no records.
No decision depends on them; the message of a failed job quotes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from attr import frozen

from kubemr.coordination.object_store import Store
from kubemr.locks.effects import Do, Op

LOG: Final = "log.txt"
ERROR: Final = "error.json"
LOST: Final = "lost.json"
RECORDS: Final = frozenset({LOG, ERROR, LOST})
"""The names of the records below an attempt's prefix."""

_FIELDS: Final = ("message", "worker", "startTime", "endTime")
_DEPTH: Final = 5
"""The number of folders above a record: job, step, stage, task and attempt."""
_BEGAN: Final = "attempt_began"
_SHORTENED: Final = "log_shortened"
_ENDED: Final = "attempt_ended"


@frozen
class AttemptError:
    """Why an attempt does not count: `error.json` (it failed) or `lost.json` (its worker died).

    Times are as in RFC 3339, in UTC, and empty if they are unknown.
    `run` is the run of the job in which the attempt was made.
    """

    message: str
    worker: str
    start: str = ""
    end: str = ""
    run: int = 1

    def encode(self) -> bytes:
        """Return the object's content."""
        texts = zip(_FIELDS, (self.message, self.worker, self.start, self.end), strict=True)
        document = {**{name: text for name, text in texts if text}, "run": self.run}
        return json.dumps(document, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, data: bytes) -> AttemptError:
        """Parse the object's content.

        Raise ValueError if `data` is not an error document.
        """
        document = json.loads(data)
        run = document.get("run", 1) if isinstance(document, dict) else None
        if not isinstance(run, int):
            raise ValueError(f"{data[:80]!r} is not an error document: expected an object whose run is a number")
        message, worker, start, end = (str(document.get(name, "")) for name in _FIELDS)
        return cls(message, worker, start, end, run)


@frozen
class AttemptLog:
    """`log.txt`: what an attempt printed, between a line with its start and a line with its end and outcome.

    The last line is missing while the attempt runs, and permanently if its worker died.
    `outcome` is `done`, `empty` or `failed`.
    """

    task: str
    printed: bytes
    start: str = ""
    end: str = ""
    outcome: str = ""

    def encode(self) -> bytes:
        """Return the object's content."""
        first = _event({"timestamp": self.start, "event": _BEGAN, "task": self.task})
        if not self.outcome:
            return first + self.printed
        last = _event({"timestamp": self.end, "event": _ENDED, "outcome": self.outcome})
        return first + whole_line(self.printed) + last

    @classmethod
    def decode(cls, data: bytes) -> AttemptLog:
        """Parse the object's content.

        Data without the first line counts as printed text.
        """
        first, _, rest = data.partition(b"\n")
        began = _parsed(first, _BEGAN)
        if not began:
            return cls("", data)
        task, start = str(began.get("task", "")), str(began.get("timestamp", ""))
        cut = rest.rfind(b"\n", 0, len(rest) - 1) + 1
        ended = _parsed(rest[cut:], _ENDED)
        if not ended:
            return cls(task, rest, start)
        return cls(task, rest[:cut], start, str(ended.get("timestamp", "")), str(ended.get("outcome", "")))


def is_record(key: str) -> bool:
    """Decide whether the key, with the job's prefix, is the key of a record."""
    *folders, name = key.split("/")
    return name in RECORDS and len(folders) == _DEPTH


def whole_line(text: bytes) -> bytes:
    """Return the text with a line feed at its end, unless it is empty."""
    return text if not text or text.endswith(b"\n") else text + b"\n"


def shortened(left_out: int) -> bytes:
    """Return the line that replaces `left_out` bytes of a log."""
    return _event({"event": _SHORTENED, "left_out_bytes": left_out})


def _event(fields: dict[str, str | int]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def _parsed(line: bytes, event: str) -> dict[str, object]:
    """Return the fields of the line if it is this event, else no fields."""
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) and fields.get("event") == event else {}


def write_best_effort(store: Store, key: str, data: bytes, warn: Callable[..., object]) -> Op[bool]:
    """Write a record; return False if the store raises.

    Records are for people, so a failure is only logged, by `warn`, which takes an event and fields.
    """

    def put() -> Exception | None:
        try:
            store.put(key, data)
        except Exception as error:  # Any error of the store: a record is not worth the failure of a task.
            return error
        return None

    problem: Exception | None = yield Do(put, "write record")
    if problem is not None:
        warn("record_write_failed", key=key, error=str(problem))
    return problem is None
