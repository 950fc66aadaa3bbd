"""On a machine whose clock is wrong, requests are signed with the S3 service's time after the first rejection."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from kubemr.storage import AccessDeniedError, S3Store
from support.webservers import ScriptedServer, respond, s3_error, serving

Start = Callable[..., tuple[S3Store, ScriptedServer]]

TOO_SKEWED = s3_error(403, "RequestTimeTooSkewed")


def behind(server: ScriptedServer) -> list[int]:
    """How many quarters of an hour the time of each request is behind this machine's."""
    now = datetime.now(UTC)
    times = [headers["x-amz-date"] for _, _, headers in server.requests]
    signed = [datetime.strptime(time, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) for time in times]
    return [round((now - time).total_seconds() / 900) for time in signed]


@pytest.mark.parametrize("hours", [-1, 1, 24])
def test_the_refused_request_and_all_that_follow_bear_the_services_time(
    scripted_s3: Start, hours: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The difference is logged once, as `storage_clock_skew`."""
    store, server = scripted_s3(TOO_SKEWED, respond(200), serving(b"x"))
    server.ahead = -3600.0 * hours
    store.put("k", b"x")
    (skew,) = [line for line in "".join(capsys.readouterr()).splitlines() if '"storage_clock_skew"' in line]
    assert round(json.loads(skew)["ahead_seconds"] / 3600) == hours
    assert store.get("k") == b"x"
    assert behind(server) == [0, 4 * hours, 4 * hours]


def test_a_refusal_without_a_body_counts_too(scripted_s3: Start) -> None:
    """The answer to a HEAD is only a 403."""
    store, server = scripted_s3(respond(403), serving(b"seven b"))
    server.ahead = -3600.0
    found = store.stat("k")
    assert found is not None
    assert found.size == 7
    assert behind(server) == [0, 4]


def test_a_clock_that_becomes_right_is_noticed(scripted_s3: Start) -> None:
    store, server = scripted_s3(TOO_SKEWED, respond(200), TOO_SKEWED, respond(200))
    server.ahead = -3600.0
    store.put("k", b"x")
    server.ahead = 0.0
    store.put("k", b"x")
    assert behind(server) == [0, 4, 4, 0]


def test_refused_by_a_service_whose_time_is_known_is_refused(scripted_s3: Start) -> None:
    """The request is repeated once with the service's time, and is then an error at once."""
    store, server = scripted_s3(s3_error(403, "AccessDenied"), s3_error(403, "AccessDenied"))
    server.ahead = -3600.0
    with pytest.raises(AccessDeniedError, match="check the access keys"):
        store.put("k", b"x")
    assert behind(server) == [0, 4]


def test_a_clock_that_is_right_stays(scripted_s3: Start) -> None:
    """A rejection by a service that has the same time is an error at once."""
    store, server = scripted_s3(TOO_SKEWED)
    with pytest.raises(AccessDeniedError, match="correct this machine's clock"):
        store.put("k", b"x")
    assert behind(server) == [0]
