"""Leases of operators that were killed: nobody gave them up, and every start makes a new one, so they would pile up.

Each operator looks at all of them as often as it sweeps.  One that stayed the same, by this operator's own clock, for
several times its duration is removed, under a precondition on its version: whoever renews it just then keeps it.  An
operator that was paused for so long finds its Lease gone, and stops.
"""

from __future__ import annotations

from typing import Final

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.objects.delete import remove
from kubemr.coordination.kinds import COMPONENT, MANAGED_BY
from kubemr.coordination.pagination import list_all
from kubemr.locks.effects import Now, Op
from kubemr.locks.lease import LEASES

SELECTOR: Final = f"{MANAGED_BY}=kubemr,{COMPONENT}=operator"
STALE_AFTER_DURATIONS: Final = 2.0
"""How many durations of a Lease without any change leave no doubt; jobs are taken over after one."""


def delete_stale_leases(context: ReconcileContext) -> Op[None]:
    """Remove the Leases that have not changed since they were seen long enough ago."""
    listed = yield from list_all(LEASES, context.settings.namespace, SELECTOR)
    now: float = yield Now()
    before = dict(context.operator_leases_since)
    context.operator_leases_since.clear()
    for lease in listed.items:
        key = (lease["metadata"]["uid"], lease["metadata"]["resourceVersion"])
        since = context.operator_leases_since[key] = before.get(key, now)
        if now - since >= STALE_AFTER_DURATIONS * context.settings.lease_seconds:
            yield from remove(LEASES, lease, unchanged=True)
