"""What the user does while a job runs: one after the other, each after a while."""

from __future__ import annotations

from collections.abc import Sequence

from attr import define, field, frozen

from kubemr.coordination import names
from kubemr.coordination.job_view import JobView
from kubemr.locks.effects import JSON_PATCH, Json, Op, Request, Sleep
from kubemr.tasks.shard import SHARDS, Shard
from support.simulation.cluster import JOB, NAMESPACE, Cluster
from support.simulation.verdict import Deleted, Kept, check_cause, kept


@frozen
class Deed:
    """After so many seconds, what."""

    pause: float
    what: str


@define
class User:
    """The one who made the job."""

    cluster: Cluster
    spec: Json
    acting: bool = False
    """There is more to be done."""
    kept: list[Kept] = field(factory=list)
    """What runs that were retried had committed."""
    deleted: Deleted | None = None

    def act(self, deeds: Sequence[Deed]) -> None:
        """Do all of it, in the course of the job."""
        self.acting = bool(deeds)
        if deeds:
            self.cluster.world.start("user", {"user": self._do(deeds)}, self._ended, immune=True)

    def _ended(self, result: object) -> None:
        if result is not None:
            raise AssertionError(f"the user ended: {result!r}")

    def _do(self, deeds: Sequence[Deed]) -> Op[None]:
        world = self.cluster.world
        for deed in deeds:
            yield Sleep(deed.pause)
            world.note(f"user: {deed.what}")
            if deed.what == "scale":
                world.rescaled = True
                self._set("replicas", world.random.randint(1, 8))
            elif deed.what == "suspend":
                self._set("suspend", True)
                yield Sleep(world.random.uniform(0.0, 20.0))
                self._set("suspend", False)
            elif deed.what == "retry":
                self._set("activeDeadlineSeconds", 1)
                yield from self._until("COMPLETE", "FAIL")
                yield Sleep(world.random.choice([0.0, 3.0]))
                self._set("activeDeadlineSeconds", 100_000)
                self._set("restarts", self.cluster.job["spec"].get("restarts", 0) + 1)
                while self._phase == "FAIL":
                    yield Sleep(0.1)
            elif deed.what == "mend":
                yield from self._mend()
            elif deed.what == "delete a shard":
                yield from self._delete_a_shard()
            else:
                world.server.handle(Request("delete", names.JOBS, NAMESPACE, JOB))
                while self.cluster.job is not None:
                    yield Sleep(0.1)
                self.cluster.create(self.spec)
        self.acting = False

    def _mend(self) -> Op[None]:
        """Raise `restarts` until the job is complete; in between, see why it failed."""
        while True:
            yield from self._until("COMPLETE", "FAIL")
            if self._phase == "COMPLETE":
                return
            check_cause(self.cluster)
            job = JobView.of(self.cluster.job)
            self.kept.append(kept(self.cluster, job))
            yield Sleep(self.cluster.world.random.choice([0.0, 3.0]))
            self._set("restarts", job.document["spec"].get("restarts", 0) + 1)
            while JobView.of(self.cluster.job).run == job.run:
                yield Sleep(0.1)

    def _delete_a_shard(self) -> Op[None]:
        """Of any stage of the run, in the midst of it."""
        yield from self._until("DEPLOYED", "COMPLETE", "FAIL")
        job = JobView.of(self.cluster.job)
        if job.phase != "DEPLOYED" or job.current is None:
            return
        found = [Shard.parse(item) for item in self.cluster.list(SHARDS, names.selector(job.uid, job.run))]
        shard = self.cluster.world.random.choice(sorted(found, key=lambda each: each.name))
        current = {job.shard_name(job.current, number) for number in range(job.current.shards)}
        over = job.stages[: job.position(job.current)]
        sealed = {job.shard_name(stage, number) for stage in over for number in range(stage.shards)}
        needed = shard.name not in sealed and not (shard.name in current and shard.committed)
        self.deleted = Deleted(shard.name, needed)
        answer = self.cluster.world.server.handle(Request("delete", SHARDS, NAMESPACE, shard.name))
        assert answer.ok, answer

    @property
    def _phase(self) -> str:
        return str((self.cluster.job.get("status") or {}).get("phase") or "")

    def _until(self, *phases: str) -> Op[None]:
        while self._phase not in phases:
            yield Sleep(0.1)

    def _set(self, key: str, value: Json) -> None:
        body = [{"op": "add", "path": f"/spec/{key}", "value": value}]
        request = Request("patch", names.JOBS, NAMESPACE, JOB, body=body, content_type=JSON_PATCH)
        answer = self.cluster.world.server.handle(request)
        assert answer.ok, answer
