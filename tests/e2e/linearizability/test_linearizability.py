"""Locks and claims by conditional patches are linearizable through several apiservers that are killed meanwhile.

`make linearizability OPS=100000` does so many operations; docs/guarantees.md says what it shows and what it does not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from support.binaries import CHECKER, ETCD, KUBE
from support.left_out import require
from support.linearizability.contest import APISERVERS, LOCKS, SHARDS_COUNT, Contest

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

MANY = 50_000
"""With that many operations every object is used, and apiservers are killed often."""


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contest]:
    """Three apiservers over one etcd."""
    require(ETCD, KUBE, CHECKER)
    started = Contest(tmp_path_factory.mktemp("contest"))
    try:
        yield started
    finally:
        started.stop()


def test_what_contenders_saw_is_linearizable(contest: Contest, request: pytest.FixtureRequest) -> None:
    """They did contend, apiservers were killed meanwhile, and operations of unknown outcome were left open."""
    operations, seed = request.config.getoption("operations"), request.config.getoption("contest_seed")
    outcome = contest.hold(operations, seed=seed)
    summary, counts = outcome.summary, outcome.summary["counts"]
    print(f"\nseed {seed}, {outcome.seconds:.0f} s, {outcome.kills} apiservers killed; {json.dumps(summary)}")
    assert outcome.result == "linearizable", summary.get("illegal")
    assert summary["operations"] - counts["read won"] >= operations
    assert min(outcome.kills, summary["open"], counts["acquire lost"], counts["swap lost"]) > 0
    if operations >= MANY:
        assert summary["keys"] == LOCKS + SHARDS_COUNT
        assert outcome.kills >= APISERVERS


def test_patches_without_their_tests_are_found_out(contest: Contest) -> None:
    """The checker would see a violation: here is one, of locks and of tasks."""
    outcome = contest.hold(3000, mistake=True, kills=False)
    assert outcome.result == "not linearizable"
    assert {key.partition("-")[0] for key in outcome.summary["illegal"]} == {"lock", "shard"}
