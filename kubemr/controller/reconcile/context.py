"""What a reconcile step may use besides the job: the operator's identity, its settings, its caches, its memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from attr import field, frozen

from kubemr.controller.inputs.access import Access
from kubemr.controller.reconcile.memory import JobMemory
from kubemr.controller.reconcile.shards.summary import ShardSummary
from kubemr.coordination.object_store import Store
from kubemr.locks.effects import Json, Op
from kubemr.locks.failure_detectors import FailureDetector

FINALIZER: Final = "kubemr.turbobytes.com/cleanup"


class CleanStore(Store, Protocol):
    """A store from which a prefix can be deleted."""

    def delete_prefix(self, prefix: str, keep: Callable[[str], bool] | None = None) -> int:
        """Delete every object and unfinished upload below a prefix but those to `keep`, and return their number."""
        ...

    def check(self) -> None:
        """Raise an error if the store does not exist or cannot be written to."""
        ...


class Cache(Protocol):
    """What the operator's informers hold.  It may be out of date, so no irreversible step relies on it alone."""

    def shards(self, uid: str) -> Sequence[ShardSummary]:
        """Return the summaries of the job's task shards, of all runs."""
        ...

    def worker_jobs(self, uid: str) -> Sequence[Json]:
        """Return the Kubernetes Jobs that run the job's workers, of all runs."""
        ...


@frozen
class StorageSettings:
    """The environment variables, public and secret, that tell a job's workers where the object store is."""

    config: Mapping[str, str]
    secret: Mapping[str, str]
    """The operator's own keys, if an administrator lets it put them beside the job.  Usually empty."""
    secret_ref: str = ""
    """The Secret in the job's namespace from which the pods take their keys."""
    own_identity: bool = False
    """No keys are set: the pods have their own identity."""


class Settings(Protocol):
    """The settings of an installation."""

    @property
    def lease_seconds(self) -> float:
        """The duration of worker Leases."""
        ...

    @property
    def namespace(self) -> str:
        """The namespace of the operators."""
        ...

    @property
    def deletion_seconds(self) -> float:
        """How long a deletion waits for pods and storage."""
        ...

    @property
    def sweep_seconds(self) -> float:
        """The longest interval between two sweeps for orphaned objects of deleted jobs."""
        ...

    def storage(self, document: Json) -> StorageSettings:
        """Return where the job's outputs go.  Raises ValueError with a remedy if that is not configured."""
        ...

    def store(self, document: Json, keys: Mapping[str, str] = ...) -> CleanStore:
        """Return the job's object store; `keys` are those of the Secret that the job names."""
        ...

    def access(self, document: Json, keys: Mapping[str, str] = ...) -> Access:
        """Return the credentials and addresses for listing the job's inputs; `keys` as for `store`."""
        ...

    def now_string(self) -> str:
        """Return the wall clock as a Kubernetes Time, for people to read."""
        ...


@frozen
class ReconcileContext:
    """What a reconcile step may use besides the job.  `identity` is the holder in `status.lockholder`."""

    identity: str
    settings: Settings
    failure_detector: FailureDetector
    """Decides which operators are dead."""
    cache: Cache
    memories: dict[str, JobMemory] = field(factory=dict)
    """What this process remembers of each job, by its uid."""
    cleaned: dict[tuple[str, int], float] = field(factory=dict)
    """When this process first found nothing left of a finished run (uid, run); infinity after its second check."""
    operator_leases_since: dict[tuple[str, str], float] = field(factory=dict)
    """When each operator's Lease, by uid and resourceVersion, was first seen."""
    counters: Counter[str] = field(factory=Counter)
    """How often each kind of event has happened, for the metrics."""

    def memory(self, uid: str) -> JobMemory:
        """Return what this process remembers of the job with this uid; an empty memory if there is none."""
        return self.memories.setdefault(uid, JobMemory())

    def forget(self, uid: str) -> None:
        """Drop all memory of a job that does not exist any more."""
        self.memories.pop(uid, None)
        for key in [key for key in self.cleaned if key[0] == uid]:
            del self.cleaned[key]


@frozen
class Result:
    """Result of a reconcile step: run again after `requeue_after` seconds, or only when an event arrives (None)."""

    requeue_after: float | None = None


WAIT_FOR_EVENT: Final = Result()

Step = Callable[[Json, ReconcileContext], Op[Result]]
