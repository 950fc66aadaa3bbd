"""What a reconcile step knows besides the job: who this operator is, what it may use, what its caches show."""

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
    """A store that can also be cleared."""

    def delete_prefix(self, prefix: str, keep: Callable[[str], bool] | None = None) -> int:
        """Remove every object (and unfinished upload) below a prefix but for the keys to `keep`; tells how many."""
        ...

    def check(self) -> None:
        """Raises what is wrong when it is not there or cannot be written to."""
        ...


class Cache(Protocol):
    """What the operator's informers show.  It lags behind: nothing final is concluded from it."""

    def shards(self, uid: str) -> Sequence[ShardSummary]:
        """What is kept of the job's task shards, of any run."""
        ...

    def worker_jobs(self, uid: str) -> Sequence[Json]:
        """The Kubernetes Jobs that run the job's workers, of any run."""
        ...


@frozen
class StorageSettings:
    """The environment variables that tell a job's workers where the object store is, public and secret ones."""

    config: Mapping[str, str]
    secret: Mapping[str, str]
    """Keys of the operator's own that an administrator lets it put beside the job.  Usually there are none."""
    secret_ref: str = ""
    """The Secret in the job's namespace from which the pods take their keys."""
    own_identity: bool = False
    """No keys are given: the pods have an identity of their own."""


class Settings(Protocol):
    """What an installation decides."""

    @property
    def lease_seconds(self) -> float:
        """Duration of worker Leases."""
        ...

    @property
    def namespace(self) -> str:
        """Where the operators are."""
        ...

    @property
    def deletion_seconds(self) -> float:
        """How long a deletion waits for pods and storage."""
        ...

    @property
    def sweep_seconds(self) -> float:
        """How often what deleted jobs left in storage is looked for again."""
        ...

    def storage(self, document: Json) -> StorageSettings:
        """Where the job's outputs go.  Raises ValueError with a remedy when that is not known."""
        ...

    def store(self, document: Json, keys: Mapping[str, str] = ...) -> CleanStore:
        """The job's object store; `keys` are those of the Secret that the job names."""
        ...

    def access(self, document: Json, keys: Mapping[str, str] = ...) -> Access:
        """By whose rights the job's inputs are looked for; `keys` as above."""
        ...

    def now_string(self) -> str:
        """The wall clock as a Kubernetes Time, for people to read."""
        ...


@frozen
class ReconcileContext:
    """What a reconcile step may use besides the job.  `identity` is what `status.lockholder` names."""

    identity: str
    settings: Settings
    failure_detector: FailureDetector
    """Decides which operators are dead."""
    cache: Cache
    memories: dict[str, JobMemory] = field(factory=dict)
    """What is remembered of each job, by its uid."""
    cleaned: dict[tuple[str, int], float] = field(factory=dict)
    """When this process first found nothing left of a finished run (uid, run); infinity once it looked again."""
    operator_leases_since: dict[tuple[str, str], float] = field(factory=dict)
    """When each operator's Lease, by uid and resourceVersion, was first seen."""
    counters: Counter[str] = field(factory=Counter)
    """How often each kind of event has happened, for the metrics."""

    def memory(self, uid: str) -> JobMemory:
        """Return what is remembered of the job with this uid; an empty memory if there is none."""
        return self.memories.setdefault(uid, JobMemory())

    def forget(self, uid: str) -> None:
        """Drop all that is remembered of a job that does not exist any more."""
        self.memories.pop(uid, None)
        for key in [key for key in self.cleaned if key[0] == uid]:
            del self.cleaned[key]


@frozen
class Result:
    """Result of a reconcile step: run again after `requeue_after` seconds, or only when an event arrives (None)."""

    requeue_after: float | None = None


WAIT_FOR_EVENT: Final = Result()

Step = Callable[[Json, ReconcileContext], Op[Result]]
