"""The job is being deleted: its pods first, then its storage, then the finalizer.

In this order, because a pod that still runs would write objects after the prefix was cleared.  What the
apiserver's garbage collector removes by itself (everything the job owns) is left to it.
"""

from __future__ import annotations

from typing import Final

from kubemr.controller.reconcile.context import (
    DONE,
    FINALIZER,
    KUBERNETES_JOBS,
    PODS,
    After,
    Operator,
)
from kubemr.controller.reconcile.patching import patch_job
from kubemr.controller.reconcile.removing import remove_all
from kubemr.controller.reconcile.storing import open_store
from kubemr.coordination import names
from kubemr.coordination.job import JobView
from kubemr.coordination.listing import list_all
from kubemr.locks.patch import Patch
from kubemr.locks.request import Do, Json, Op

POD_POLL_SECONDS: Final = 1.0


def delete(document: Json, operator: Operator) -> Op[After]:
    """One look at a job with a deletionTimestamp."""
    job = JobView.of(document)
    operator.censuses.pop(job.uid, None)
    operator.cleaned.pop((job.uid, job.run), None)
    finalizers = document["metadata"].get("finalizers") or []
    if FINALIZER not in finalizers:
        return DONE
    yield from remove_all(job, KUBERNETES_JOBS)
    pods = yield from list_all(PODS, job.namespace, f"{names.LABEL_UID}={job.uid}")
    if pods.items:
        return After(POD_POLL_SECONDS)
    store = yield from open_store(job, operator)
    yield Do(lambda: store.delete_prefix(job.storage_prefix), "delete prefix")
    left = [each for each in finalizers if each != FINALIZER]
    patch = Patch().test("/metadata/uid", job.uid).test("/metadata/finalizers", finalizers)
    patch = patch.replace("/metadata/finalizers", left)
    yield from patch_job(job.target, patch, lambda seen: FINALIZER not in (seen["metadata"].get("finalizers") or []))
    return DONE
