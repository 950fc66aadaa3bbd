"""Wall-clock time as Kubernetes writes it.  For people: nothing in kubemr compares two clocks."""

from __future__ import annotations

import time


def timestamp() -> str:
    """A metav1.Time: `2026-01-31T12:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def micro_timestamp() -> str:
    """A metav1.MicroTime: `2026-01-31T12:00:00.000000Z`, as Leases have it."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds // 1000:06d}Z"


def milli_timestamp(seconds: float) -> str:
    """A time of `time.time()` in RFC 3339, in UTC: `2026-01-31T12:00:00.000Z`."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1000):03d}Z"
