"""What the operator and the workers of a local run print: the last of it is kept, and passed on where wanted."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

KEPT_LINES: Final = 400
KEPT_CHARACTERS: Final = 2000
"""Of one line."""

Sink = Callable[[str, str], None]
"""Gets each line with its source, in whatever thread read it."""


class OutputLog:
    """The last lines of all processes, in the order in which they came."""

    def __init__(self, sink: Sink | None = None) -> None:
        self._lines: deque[tuple[str, str]] = deque(maxlen=KEPT_LINES)
        self._lock = threading.Lock()
        self._sink = sink

    def add(self, source: str, line: str) -> None:
        """Keep one line."""
        with self._lock:
            self._lines.append((source, line[:KEPT_CHARACTERS]))
            if self._sink is not None:
                self._sink(source, line)

    def last(self, count: int = KEPT_LINES, source: str = "") -> list[tuple[str, str]]:
        """The last `count` lines with their sources; of those that begin with `source`."""
        with self._lock:
            lines = [line for line in self._lines if line[0].startswith(source)]
        return lines[-count:]
