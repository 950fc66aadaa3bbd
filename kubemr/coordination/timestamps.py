"""Wall-clock time as Kubernetes writes it, for people: kubemr never compares two clocks."""

from __future__ import annotations

import time


def timestamp() -> str:
    """Return the time now as a metav1.Time: `2026-01-31T12:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def micro_timestamp() -> str:
    """Return the time now as a metav1.MicroTime, as in Leases: `2026-01-31T12:00:00.000000Z`."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds // 1000:06d}Z"


def milli_timestamp(seconds: float) -> str:
    """Return a time of `time.time()` as in RFC 3339, in UTC: `2026-01-31T12:00:00.000Z`."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1000):03d}Z"
