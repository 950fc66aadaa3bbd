"""Load the tasks of the previous run, from which a retry continues: all of them or none.

There are none if that run failed before it had shards, or if all its shards are gone.
Then everything runs again, and no stage has read the outputs of another run.
If only some shards are missing, a stage might run again whose outputs other stages have read.
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
    """Shards of the previous run were deleted after this run was accepted; the error names one, and the remedy."""


def load_previous_tasks(job: JobView) -> Op[Mapping[str, TaskTable]]:
    """Return the tasks of the previous run by the stage's label, or nothing.  Raises `PreviousShardsMissingError`."""
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
                f"{what} was deleted, and with it the states of its tasks; create the job again"
            )
    return tasks
