"""The log of every kubemr process: one event with fields a line, on stderr.

Lines are JSON, or `key=value` on a terminal.  `KUBEMR_LOG_LEVEL` chooses what is written (default: info).
"""

from __future__ import annotations

import os
import sys
from typing import TypeAlias

import structlog

Log: TypeAlias = structlog.typing.FilteringBoundLogger

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure() -> Log:
    """Set structlog up for this process and give its logger."""
    renderer: structlog.typing.Processor
    if sys.stderr.isatty():
        renderer = structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
    else:
        renderer = structlog.processors.JSONRenderer()
    level = LEVELS.get(os.environ.get("KUBEMR_LOG_LEVEL", "info").lower(), 20)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    log: Log = structlog.get_logger()
    return log
