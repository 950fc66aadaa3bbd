"""Delete the orphaned objects of deleted jobs, whose storage could not be reached before the deletion's deadline.

One ConfigMap beside the operators lists the prefixes, and every operator sweeps them every few minutes.
So the list outlives the operators.
Deleting a prefix twice is harmless, and only an operator that has deleted the objects removes the entry.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Final

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.storage.job_store import open_job_store
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import COMPONENT, CONFIG_MAPS, MANAGED_BY
from kubemr.locks.backoff import Backoff
from kubemr.locks.conditional import PatchStatus, RequestRefusedError, Target, apply, read
from kubemr.locks.effects import Answer, Do, Json, Op, Random, Request, Sleep
from kubemr.locks.patch import Patch, lookup

NAME: Final = "kubemr-unswept"
SWEPT: Final = "swept_prefixes"


def record_orphaned_prefix(job: JobView, context: ReconcileContext) -> Op[None]:
    """Add the job's prefix, and what is needed to open its store, to the list.  Raises `RequestRefusedError`."""
    target = _target(context)
    entry = _entry(job)
    path = f"/data/{job.uid}"
    backoff = Backoff()
    while True:
        there: Json = yield from read(target)
        if there is None:
            body = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": NAME,
                    "namespace": target.namespace,
                    "labels": {MANAGED_BY: "kubemr", COMPONENT: "operator"},
                },
                "data": {job.uid: entry},
            }
            answer: Answer = yield Request("create", CONFIG_MAPS, target.namespace, body=body)
            if answer.ok:
                return
            if answer.definite and answer.status not in (0, 409, 429):
                raise RequestRefusedError(f"creating {target}", answer)
            yield Sleep(backoff.next((yield Random()), answer.retry_after))
            continue
        if there.get("data"):
            patch = Patch().test("/metadata/uid", there["metadata"]["uid"]).add(path, entry)
        else:
            patch = Patch().test("/data", None).add("/data", {job.uid: entry})
        outcome = yield from apply(target, patch, lambda seen: bool(lookup(seen, path) == entry))
        if outcome.won:
            return
        if outcome.status is PatchStatus.REFUSED:
            raise RequestRefusedError(f"patching {target}", outcome.answer)


def sweep_orphaned_prefixes(context: ReconcileContext) -> Op[dict[str, str]]:
    """Delete the objects below the listed prefixes.

    Return the error for each uid whose objects could not be deleted.  Raises `RequestRefusedError`.
    """
    target = _target(context)
    there: Json = yield from read(target)
    problems: dict[str, str] = {}
    for uid, text in sorted(((there or {}).get("data") or {}).items()):
        try:
            job = JobView.of(json.loads(text))
            store = yield from open_job_store(job, context)
            yield Do(partial(store.delete_prefix, job.storage_prefix), "sweep prefix")
        except Exception as error:  # The entry stays on the list, and the caller gets the error.
            problems[uid] = f"{type(error).__name__}: {error}"
            continue
        path = f"/data/{uid}"
        patch = Patch().test(path, text).remove(path)
        outcome = yield from apply(target, patch, lambda seen, path=path: not lookup(seen, path))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        if outcome.status is PatchStatus.REFUSED:
            raise RequestRefusedError(f"patching {target}", outcome.answer)
        # That the entry is gone may be another operator's doing, who swept at the same time: it counts the prefix.
        if outcome.won and outcome.answer.ok:
            context.counters[SWEPT] += 1
    return problems


def _target(context: ReconcileContext) -> Target:
    return Target(CONFIG_MAPS, context.settings.namespace, NAME)


def _entry(job: JobView) -> str:
    """Return the part of the job from which its store and its prefix follow."""
    storage = (job.document.get("spec") or {}).get("storage") or {}
    metadata = {"namespace": job.namespace, "name": job.name, "uid": job.uid}
    return json.dumps({"metadata": metadata, "spec": {"storage": storage}}, sort_keys=True)
