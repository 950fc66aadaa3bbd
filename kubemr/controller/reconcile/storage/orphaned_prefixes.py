"""Prefixes that a deleted job left in storage because that could not be reached in time, until they are cleared.

They are listed in one ConfigMap beside the operators, which every operator goes through every few minutes: it outlives
them all.  Clearing a prefix twice does no harm, and an entry is removed only by who has cleared its prefix.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Final

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.storage.job_store import open_store
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import COMPONENT, CONFIG_MAPS, MANAGED_BY
from kubemr.locks.backoff import Backoff
from kubemr.locks.conditional import PatchStatus, RequestRefusedError, Target, apply, read
from kubemr.locks.effects import Answer, Do, Json, Op, Random, Request, Sleep
from kubemr.locks.patch import Patch, lookup

NAME: Final = "kubemr-unswept"
SWEPT: Final = "swept_prefixes"


def record(job: JobView, context: ReconcileContext) -> Op[None]:
    """List the job's prefix, with what it takes to open its store.  Raises `RequestRefusedError`."""
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


def sweep(context: ReconcileContext) -> Op[dict[str, str]]:
    """Clear what is listed; tells, by prefix, why the rest could not be.  Raises `RequestRefusedError`."""
    target = _target(context)
    there: Json = yield from read(target)
    problems: dict[str, str] = {}
    for uid, text in sorted(((there or {}).get("data") or {}).items()):
        try:
            job = JobView.of(json.loads(text))
            store = yield from open_store(job, context)
            yield Do(partial(store.delete_prefix, job.storage_prefix), "sweep prefix")
        except Exception as error:  # It stays on the list, and is told to who asked for the sweep.
            problems[uid] = f"{type(error).__name__}: {error}"
            continue
        path = f"/data/{uid}"
        patch = Patch().test(path, text).remove(path)
        outcome = yield from apply(target, patch, lambda seen, path=path: not lookup(seen, path))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        if outcome.status is PatchStatus.REFUSED:
            raise RequestRefusedError(f"patching {target}", outcome.answer)
        if outcome.won:
            context.counters[SWEPT] += 1
    return problems


def _target(context: ReconcileContext) -> Target:
    return Target(CONFIG_MAPS, context.settings.namespace, NAME)


def _entry(job: JobView) -> str:
    """As much of the job as its store and its prefix are made of."""
    storage = (job.document.get("spec") or {}).get("storage") or {}
    metadata = {"namespace": job.namespace, "name": job.name, "uid": job.uid}
    return json.dumps({"metadata": metadata, "spec": {"storage": storage}}, sort_keys=True)
