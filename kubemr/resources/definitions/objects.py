"""The two kinds of objects, and the columns that `kubectl get` shows."""

# ruff: noqa: RUF009  (`prop` is attrs.field)

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from kubemr.resources.definitions.spec import JobSpec
from kubemr.resources.definitions.status import JobStatus
from kubemr.resources.fields import prop
from kubemr.resources.json_types import Json
from kubemr.tasks.shard import LARGEST_SHARD
from kubemr.tasks.state import MAX_LENGTH, PATTERN

GROUP = "turbobytes.com"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


@frozen(kw_only=True)
class Column:
    """A column of `kubectl get`; a wide one is shown by `-o wide`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False
    doc: str = ""


@frozen(kw_only=True)
class Kind:
    """The names of a kind, its columns and its subresources."""

    kind: str
    plural: str
    short: str
    columns: tuple[Column, ...]
    status: bool = False
    scale: bool = False


@frozen(kw_only=True)
class MapReduceJob:
    """A MapReduce job."""

    api_version: str = prop("`turbobytes.com/v1alpha1`.", default=API_VERSION)
    kind: str = prop("`MapReduceJob`.", default="MapReduceJob")
    metadata: dict[str, Json] | None = prop("The metadata, as of every Kubernetes object.")
    spec: JobSpec = prop("What the job does.", required=True)
    status: JobStatus | None = prop("The state of the job, written by operator and workers.")

    KIND: ClassVar[Kind] = Kind(
        kind="MapReduceJob",
        plural="mapreducejobs",
        short="mrj",
        status=True,
        scale=True,
        columns=(
            Column(name="Phase", path=".status.phase"),
            Column(name="Stage", path=".status.stage"),
            Column(name="Progress", path=".status.progress"),
            Column(name="Replicas", path=".spec.replicas", type="integer"),
            Column(name="Age", path=".metadata.creationTimestamp", type="date"),
            Column(name="Error", path=".status.error", wide=True),
            Column(name="Results", path=".status.resultCount", type="integer", wide=True),
        ),
    )


@frozen(kw_only=True)
class MapReduceTaskShard:
    """The state of up to 512 tasks of one stage of a job."""

    api_version: str = prop("`turbobytes.com/v1alpha1`.", default=API_VERSION)
    kind: str = prop("`MapReduceTaskShard`.", default="MapReduceTaskShard")
    metadata: dict[str, Json] | None = prop("The metadata, as of every Kubernetes object.")
    tasks: dict[str, str] = prop(
        "The state of each task, by its number: `state/epoch/failures/losses/holders`.  While all tasks are in one "
        "state, one entry may stand for all of them.  Its key is the first and the last number: `0-511`.",
        required=True,
        min_properties=1,
        max_properties=LARGEST_SHARD,
        items={"maxLength": MAX_LENGTH, "pattern": PATTERN},
        x_map_type="atomic",
    )

    KIND: ClassVar[Kind] = Kind(
        kind="MapReduceTaskShard",
        plural="mapreducetaskshards",
        short="mrts",
        columns=(
            Column(name="Stage", path=r".metadata.labels.kubemr\.turbobytes\.com/stage"),
            Column(name="Run", path=r".metadata.labels.kubemr\.turbobytes\.com/run"),
            Column(name="Tasks", path=r".metadata.labels.kubemr\.turbobytes\.com/tasks"),
            Column(name="Age", path=".metadata.creationTimestamp", type="date"),
        ),
    )


KINDS: dict[str, type[MapReduceJob] | type[MapReduceTaskShard]] = {
    "MapReduceJob": MapReduceJob,
    "MapReduceTaskShard": MapReduceTaskShard,
}
