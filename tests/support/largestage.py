"""A stage of very many tasks, served as a list that is made up as it is asked for: nobody else keeps any of it."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from typing import TypeVar

from attr import define, field

from kubemr.controller.reconcile.objects import builders
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView, Stage, shards_for
from kubemr.locks import Answer, Op, Request, Stop, run
from kubemr.locks.effects import Json, Watch
from support.taskforms import by_task

T = TypeVar("T")


@define(eq=False)
class LargeStage:
    """A transport to the map stage of a job, all of it done."""

    tasks: int
    replicas: int
    job: JobView = field(init=False)
    largest_page: int = field(default=0, init=False)
    """The most tasks that were on one page."""
    deleted: int = field(default=0, init=False)
    _shards: Iterator[Json] = field(factory=lambda: iter(()), init=False)

    def __attrs_post_init__(self) -> None:
        shards = shards_for(self.tasks, self.replicas)
        self.job = JobView.of(
            {
                "metadata": {"namespace": "default", "name": "large", "uid": "00000000-0000-4000-8000-000000000001"},
                "spec": {"replicas": self.replicas, "partitions": 0},
                "status": {
                    "run": 1,
                    "phase": "DEPLOYED",
                    "stage": "map",
                    "stages": [{"name": "map", "step": 0, "shards": shards, "total": self.tasks}],
                },
            }
        )

    @property
    def stage(self) -> Stage:
        """Its only one."""
        return self.job.stages[0]

    def send(self, request: Request) -> Answer:
        """A page of shards, each as long as a real one can be; or one more is deleted."""
        if request.verb == "delete":
            self.deleted += 1
            return Answer(200, {})
        if "continue" not in request.query:
            self._shards = builders.shards(self.job, self.stage, open_=True)
        limit = int(request.query["limit"])
        items = [self._done(body) for _, body in zip(range(limit), self._shards, strict=False)]
        self.largest_page = max(self.largest_page, sum(len(each["tasks"]) for each in items))
        body = {"items": items, "metadata": {"resourceVersion": "1", "continue": "more" if len(items) == limit else ""}}
        return Answer(200, json.loads(json.dumps(body)))

    def wait(self, watch: Watch, stop: Stop | None = None) -> None:
        """Nothing happens."""

    def peak(self, op: Op[T]) -> tuple[T, float]:
        """What comes of it, and how many MiB it took at most."""
        tracemalloc.start()
        try:
            found = run(op, self)
            return found, tracemalloc.get_traced_memory()[1] / 2**20
        finally:
            tracemalloc.stop()

    def _done(self, body: Json) -> Json:
        number = int(body["metadata"]["name"].rpartition("-")[2])
        worker = number % self.replicas
        body["metadata"] |= {"uid": f"00000000-0000-4000-8000-{number:012d}", "resourceVersion": "1"}
        body["metadata"]["labels"][names.LABEL_TASKS] = "done"
        body["tasks"] = dict.fromkeys(by_task(body["tasks"]), f"done/1/0/0/w{worker}-abc{worker % 1000:03d}")
        return body
