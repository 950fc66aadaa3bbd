"""Delete the Leases of operators that were killed.

Every operator process creates its own Lease, and a killed one never releases it, so stale Leases would accumulate.

Each operator lists all of them at each sweep.
It deletes a Lease that did not change, by its own clock, for `STALE_AFTER_DURATIONS` durations.
The precondition on the Lease's version protects one that is renewed at that moment.
An operator that was paused for so long finds its Lease deleted, and stops.
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
"""After so many durations without a change, a Lease is stale.  Jobs are taken over after one duration."""


def delete_stale_leases(context: ReconcileContext) -> Op[None]:
    """Delete the Leases that have not changed since this operator first saw them, long enough ago."""
    listed = yield from list_all(LEASES, context.settings.namespace, SELECTOR)
    now: float = yield Now()
    before = dict(context.operator_leases_since)
    context.operator_leases_since.clear()
    for lease in listed.items:
        key = (lease["metadata"]["uid"], lease["metadata"]["resourceVersion"])
        since = context.operator_leases_since[key] = before.get(key, now)
        if now - since >= STALE_AFTER_DURATIONS * context.settings.lease_seconds:
            yield from remove(LEASES, lease, unchanged=True)
