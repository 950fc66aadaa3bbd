"""What a worker leaves for people, judged as docs/protocol.md has it: `log.txt`, `error.json`, `lost.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from kubemr.storage import ObjectStore

LOG_BYTES = 65536
_KEY = re.compile(r"[^/]+/(\d+)/(map|reduce)/(\d+)/([1-9]\d*-(w\d+-[a-z0-9]{6}))/(log\.txt|error\.json|lost\.json)")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def printed(store: ObjectStore, prefix: str) -> dict[str, list[bytes]]:
    """By attempt, `[<step>/]<stage>/<task>/<attempt>`, the lines that its log holds between those of the runtime."""
    found: dict[str, list[bytes]] = {}
    for item in store.list(prefix):
        if item.key.endswith("/log.txt"):
            lines = store.get(item.key).splitlines()
            begin = json.loads(lines.pop(0))
            if lines and _event(lines[-1]) == "attempt_ended":
                lines.pop()
            found[begin["task"]] = lines
    return found


def fouls(store: ObjectStore, prefix: str, log_bytes: int = LOG_BYTES) -> Iterator[str]:
    """What is wrong with the records below a job's prefix."""
    for item in store.list(prefix):
        match = _KEY.fullmatch(item.key)
        if match is None:
            continue
        step, stage, number, attempt, token, name = match.groups()
        data = store.get(item.key)
        if name == "log.txt":
            task = f"{'' if step == '0' else f'{step}/'}{stage}/{number}/{attempt}"
            yield from (f"{item.key}: {foul}" for foul in _log(data, task, log_bytes))
        else:
            yield from (f"{item.key}: {foul}" for foul in _error(data, token))


def _error(data: bytes, token: str) -> Iterator[str]:
    document = json.loads(data)
    if not isinstance(document.get("message"), str) or not document["message"]:
        yield "has no message"
    if document.get("worker") != token:
        yield f"is of the worker {document.get('worker')!r}"
    if not isinstance(document.get("run", 1), int):
        yield f"is of the run {document['run']!r}"
    for time in ("startTime", "endTime"):
        if not _TIME.fullmatch(document.get(time, "2026-01-31T12:00:00Z")):
            yield f"{time} is {document[time]!r}"
    if document.get("startTime", "") > document.get("endTime", "9"):
        yield f"ends before it begins: {document}"


def _log(data: bytes, task: str, log_bytes: int) -> Iterator[str]:
    first, _, rest = data.partition(b"\n")
    began = json.loads(first)
    if (began.get("event"), began.get("task")) != ("attempt_began", task) or not _TIME.fullmatch(began["timestamp"]):
        yield f"begins with {first!r}"
    lines = rest.splitlines(keepends=True)
    last = lines[-1] if lines else b""
    if _event(last) == "attempt_ended":
        lines.pop()
        ended = json.loads(last)
        if ended.get("outcome") not in ("done", "empty", "failed") or not _TIME.fullmatch(ended["timestamp"]):
            yield f"ends with {last!r}"
    gaps = [line for line in lines if _event(line) == "log_shortened"]
    for gap in gaps:
        count = json.loads(gap).get("left_out_bytes")
        if not isinstance(count, int) or count <= 0:
            yield f"left out: {gap!r}"
    if not lines:
        yield "is there, and nothing was printed"
    size = sum(map(len, lines)) - sum(map(len, gaps))
    if size > log_bytes + 2:  # a line feed may have been added before the gap, and one at the end
        yield f"keeps {size} bytes"


def _event(line: bytes) -> Any:
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields.get("event") if isinstance(fields, dict) else None
