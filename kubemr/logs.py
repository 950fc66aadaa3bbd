"""The log of every kubemr process: one event with fields per line, as JSON, on stderr.

``{"timestamp": "…", "level": "info", "event": "lease_taken", "job": "test-z0dk5", "worker": "w7-k2p4x9"}``

The operator logs by structlog, which `configure_structlog` sets up for this form.
A worker, its child process and the object stores use `Log`, which writes the same form without structlog.
The import of structlog, which imports asyncio, would double the start-up time of a worker process.

`KUBEMR_LOG_LEVEL` (debug, info, warning, error) is the lowest level that is written; the default is info.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Final

from attr import evolve, field, frozen

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def threshold() -> int:
    """Return the number of the lowest level that is written."""
    return LEVELS.get(os.environ.get("KUBEMR_LOG_LEVEL", "info").lower(), LEVELS["info"])


@frozen
class Log:
    """A log that adds `fields` to each event; its methods have structlog's signatures."""

    fields: Mapping[str, object] = field(factory=dict)

    def bind(self, **fields: object) -> Log:
        """Return a log with more fields."""
        return evolve(self, fields={**self.fields, **fields})

    def debug(self, event: str, **fields: object) -> None:
        """Log an event that helps to find a mistake."""
        self._write("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Log a normal event."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log a problem that the process has handled."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log a problem that needs a person."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        if LEVELS[level] < threshold():
            return
        now = time.time()
        timestamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1e6):06d}Z"
        line = {"timestamp": timestamp, "level": level, "event": event, **self.fields, **fields}
        # One write per line, because several threads and processes share this stderr.
        print(json.dumps(line, default=str, ensure_ascii=False) + "\n", end="", file=sys.stderr, flush=True)


def silent(event: str, **fields: object) -> None:
    """Drop an event."""


def configure_structlog() -> None:
    """Make structlog write the same form to stderr."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.EventRenamer("event"),
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold()),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
