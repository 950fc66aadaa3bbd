"""The operator's informers: they let reconcile steps read without requests, and put jobs into the work queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, field

from kubemr.controller.client import Client
from kubemr.controller.informer import EnqueueKeys, Informer, Object, by_label, make_key
from kubemr.controller.reconcile.shards.summary import ShardSummary, summarize, summarized
from kubemr.controller.workqueue import RateLimitedQueue
from kubemr.coordination import names
from kubemr.coordination.kinds import KUBERNETES_JOBS, MANAGED_BY
from kubemr.tasks.shard import SHARDS

BY_UID = "job-uid"
"""The index of children by the uid of their job."""


@define(eq=False)
class InformerCache:
    """The objects that reconcile steps read without a request (`reconcile.context.Cache`)."""

    client: Client
    jobs: Informer = field(init=False)
    _shards: Informer = field(init=False)
    _workers: Informer = field(init=False)

    def __attrs_post_init__(self) -> None:
        index = {BY_UID: by_label(names.LABEL_UID)}
        ours = f"{MANAGED_BY}=kubemr"
        self.jobs = Informer(self.client, names.JOBS)
        self._shards = Informer(self.client, SHARDS, label_selector=ours, indexes=index, transform=summarize)
        self._workers = Informer(self.client, KUBERNETES_JOBS, label_selector=ours, indexes=index)

    @property
    def informers(self) -> Sequence[Informer]:
        """All informers of the operator."""
        return (self.jobs, self._shards, self._workers)

    def shards(self, uid: str) -> Sequence[ShardSummary]:
        """Return the summaries of the job's task shards."""
        return [summarized(each) for each in self._shards.store.select(BY_UID, uid)]

    def worker_jobs(self, uid: str) -> Sequence[Object]:
        """Return the Kubernetes Jobs that run the job's workers."""
        return self._workers.store.select(BY_UID, uid)

    def attach_queue(self, queue: RateLimitedQueue[str]) -> None:
        """Add a job's key to `queue` whenever the job or its Kubernetes Job changes.

        Shards change with every patch of every worker.
        The operator counts their tasks at intervals and does not reconcile at each change.
        """
        self.jobs.add_handler(EnqueueKeys(queue.add), "jobs")
        self._workers.add_handler(EnqueueKeys(queue.add, _owners), "workers")


def _owners(child: Object) -> Iterable[str]:
    metadata = child["metadata"]
    return [
        make_key(metadata["namespace"], owner["name"])
        for owner in metadata.get("ownerReferences") or []
        if owner.get("kind") == names.KIND
    ]
