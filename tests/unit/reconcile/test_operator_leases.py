"""The Leases of operators that were killed do not pile up."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.operator_leases import delete_stale_leases
from kubemr.coordination import names
from kubemr.locks.lease import LEASES
from support.bench import LEASE_SECONDS, Bench, asks, operator_lease

OPERATORS = {"app.kubernetes.io/managed-by": "kubemr", "app.kubernetes.io/component": "operator"}


@pytest.fixture
def looking(bench: Bench) -> ReconcileContext:
    """Return an operator that deletes stale Leases; its own Lease is not labelled in this bench."""
    return bench.operator("op-looks")


def lease(bench: Bench, identity: str, labels: dict[str, str] = OPERATORS) -> None:
    """Create the Lease of another operator."""
    spec = {"holderIdentity": identity, "renewTime": bench.micro_timestamp()}
    bench.create(LEASES, {"metadata": {"name": f"kubemr-{identity}", "labels": labels}, "spec": spec}, "kubemr")


def names_of(bench: Bench) -> set[str]:
    """Of all Leases beside the operators."""
    return {item["metadata"]["name"] for item in bench.objects(LEASES, namespace="kubemr")}


def test_what_does_not_change_for_two_durations_is_removed(bench: Bench, looking: ReconcileContext) -> None:
    """Nothing else is: not what is renewed or is no operator's, and nothing at first sight, however old it is."""
    lease(bench, "op-dead")
    lease(bench, "op-lives")
    lease(bench, "worker", {"app.kubernetes.io/managed-by": "kubemr", names.LABEL_UID: "u"})
    bench.now += 1000
    for _ in range(5):
        bench.run(delete_stale_leases(looking))
        assert "kubemr-op-dead" in names_of(bench)
        bench.now += 2 * LEASE_SECONDS / 5
        bench.set(operator_lease("op-lives"), "/spec/renewTime", bench.micro_timestamp())
    bench.run(delete_stale_leases(looking))
    assert names_of(bench) == {"kubemr-op-looks", "kubemr-op-lives", "kubemr-worker"}


def test_one_that_is_renewed_at_the_last_moment_stays(bench: Bench, looking: ReconcileContext) -> None:
    """The removal names the version that was looked at."""
    lease(bench, "op-slow")
    bench.run(delete_stale_leases(looking))
    bench.now += 10 * LEASE_SECONDS
    renewed = lambda: bench.set(operator_lease("op-slow"), "/spec/renewTime", bench.micro_timestamp())  # noqa: E731
    bench.meanwhile(asks("delete", "leases"), renewed)
    bench.run(delete_stale_leases(looking))
    assert "kubemr-op-slow" in names_of(bench)
