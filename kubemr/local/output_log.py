"""Keep the last lines that the operator and the workers of a local run print, and forward each line to a sink."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

KEPT_LINES: Final = 400
KEPT_CHARACTERS: Final = 2000
"""How many characters of each line are kept."""

Sink = Callable[[str, str], None]
"""Receives each line with its source, in the thread that has read it."""


class OutputLog:
    """The last lines of all processes, in the order in which they arrived."""

    def __init__(self, sink: Sink | None = None) -> None:
        self._lines: deque[tuple[str, str]] = deque(maxlen=KEPT_LINES)
        self._lock = threading.Lock()
        self._sink = sink

    def add(self, source: str, line: str) -> None:
        """Add a line."""
        with self._lock:
            self._lines.append((source, line[:KEPT_CHARACTERS]))
            if self._sink is not None:
                self._sink(source, line)

    def last(self, count: int = KEPT_LINES, source: str = "") -> list[tuple[str, str]]:
        """Return the last `count` lines of the sources that begin with `source`, each with its source."""
        with self._lock:
            lines = [line for line in self._lines if line[0].startswith(source)]
        return lines[-count:]
