"""Wall-clock times as Kubernetes writes them."""

from __future__ import annotations

import re

from kubemr.coordination.timestamps import micro_timestamp, timestamp


def test_both_forms() -> None:
    """metav1.Time and metav1.MicroTime, in UTC."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", timestamp())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", micro_timestamp())
