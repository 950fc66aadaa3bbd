"""Events have the type that the table of reasons gives them."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.status.events import event
from kubemr.coordination.kinds import EVENTS
from kubemr.locks.effects import Json
from kubemr.reasons import Reason
from support.bench import Bench

NOW = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("reason", [each for each in Reason if each.event is not None])
def test_the_table_decides_the_type_of_an_event(bench: Bench, reason: Reason) -> None:
    """`Normal` or `Warning`, by the reason; type and reason are plain strings."""
    bench.run(event(bench.submit(), reason, "words", NOW))
    (found,) = bench.objects(EVENTS)
    assert (found["type"], found["reason"], found["message"]) == (reason.event, reason.value, "words")
    body: Json = bench.requests[-1].body
    assert {type(body["type"]), type(body["reason"])} == {str}


@pytest.mark.parametrize("reason", [each for each in Reason if each.event is None])
def test_reasons_of_conditions_only_are_refused(bench: Bench, reason: Reason) -> None:
    """Before anything is sent: docs/api.md would not list the Event."""
    with pytest.raises(ValueError, match=f"{reason} is no reason of Events"):
        bench.run(event(bench.submit(), reason, "words", NOW))
    assert bench.objects(EVENTS) == []
