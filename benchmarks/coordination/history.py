"""What was written to etcd since a moment: every state of every object, by etcd's own history.

A job's objects are gone when it is over.  But etcd keeps what they were until it is compacted, and the apiserver has
that done with what is older than five minutes.  So the job is not disturbed by being looked at.
"""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any

PATIENCE = 120.0
_ALL = {name: base64.b64encode(b"\0").decode() for name in ("key", "range_end")}
"""etcd's way to say: whatever key."""


def revision(url: str) -> int:
    """How many times something was written so far."""
    with _ask(url, "kv/range", {**_ALL, "count_only": True}) as answer:
        return int(json.load(answer)["header"]["revision"])


def sizes(url: str, since: int) -> Iterator[tuple[str, int]]:
    """The key of each object that was written after that revision, and the bytes it had then; a removal has none."""
    end = revision(url)
    if end == since:
        return
    with _ask(url, "watch", {"create_request": {**_ALL, "start_revision": since + 1}}) as answer:
        for line in answer:
            result: dict[str, Any] = json.loads(line)["result"]
            if result.get("canceled"):
                raise RuntimeError(
                    f"etcd's history from revision {since + 1} on is not there: {result.get('cancel_reason')}; it is "
                    f"compacted up to {result.get('compact_revision')}: the job lasted too long for a look back"
                )
            last = since
            for event in result.get("events") or []:
                kept = event["kv"]
                last = int(kept["mod_revision"])
                yield base64.b64decode(kept["key"]).decode(), len(base64.b64decode(kept.get("value", "")))
            if last >= end:
                return
    raise RuntimeError(f"etcd ended a watch before revision {end}")


def _ask(url: str, what: str, question: object) -> HTTPResponse:
    answer: HTTPResponse = urllib.request.urlopen(
        urllib.request.Request(f"{url}/v3/{what}", json.dumps(question).encode()), timeout=PATIENCE
    )
    return answer
