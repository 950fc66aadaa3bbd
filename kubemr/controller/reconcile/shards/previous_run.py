"""What a retry goes on from: the tasks of the run before, all of them or none.

None where that run failed before it had any shards, or all of them are gone: then everything is done again, and no
stage has read what another run made.  With some of them gone a stage might run again whose outputs others have read.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubemr.coordination import names
from kubemr.coordination.job_view import LARGE_SHARDS_A_PAGE, JobView
from kubemr.coordination.pagination import Pages
from kubemr.coordination.task_table import MISSING, TaskTable
from kubemr.locks.effects import Op
from kubemr.tasks.shard import SHARDS


class PreviousShardsMissingError(Exception):
    """Shards of the run before were deleted, since this one was accepted: which, and what to do."""


def load_previous_tasks(job: JobView) -> Op[Mapping[str, TaskTable]]:
    """The tasks of the run before this by the stage's label, or nothing.  Raises `PreviousShardsMissingError`."""
    if job.run == 1:
        return {}
    tasks: dict[str, TaskTable] = {}
    found = False
    pages = Pages(SHARDS, job.namespace, names.selector(job.uid, job.run - 1), LARGE_SHARDS_A_PAGE)
    while (page := (yield from pages.next())) is not None:
        if page.first:
            tasks, found = {stage.label: TaskTable(stage.total) for stage in job.stages}, False
        for item in page.items:
            found = True
            table = tasks.get(item["metadata"]["labels"][names.LABEL_STAGE])
            if table is not None:
                table.add_shard(item["tasks"])
    if not found:
        return {}
    for stage in job.stages:
        number = next(tasks[stage.label].tasks_in({MISSING}), None)
        if number is not None:
            what = f"the shard that held {stage.key}/{number} in run {job.run - 1}"
            raise PreviousShardsMissingError(
                f"{what} was deleted, and with it what is known of its tasks; create the job anew"
            )
    return tasks
