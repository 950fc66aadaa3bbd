"""The computed names and labels of all objects that belong to a job (docs/protocol.md, "Names").

Names are functions of the job's name, uid and run:

- no process has to look them up;
- two jobs of the same name never share a child;
- a child of an earlier run, or of a deleted job, is never mistaken for a child of this run.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import Final

from kubemr.coordination.kinds import MANAGED_BY
from kubemr.locks.effects import Json, Resource
from kubemr.tasks.shard import LABEL_RUN, LABEL_STAGE, LABEL_TASKS, LABEL_UID

API_VERSION: Final = "turbobytes.com/v1alpha1"
KIND: Final = "MapReduceJob"
JOBS: Final = Resource("turbobytes.com", "v1alpha1", "mapreducejobs")

SLUG_LENGTH: Final = 40
HASH_LENGTH: Final = 8

__all__ = ["LABEL_RUN", "LABEL_STAGE", "LABEL_TASKS", "LABEL_UID"]


@lru_cache(maxsize=1024)
def short_hash(text: str) -> str:
    """Return the first 8 characters of lower-case base32(sha256(text)): 40 bits, letters and digits only."""
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()[:HASH_LENGTH]


def slug(name: str) -> str:
    """Return the readable beginning of a child's name."""
    return name[:SLUG_LENGTH].replace(".", "-").rstrip("-")


def base(name: str, uid: str, run: int) -> str:
    """Return the beginning of the names of all children of one run."""
    return f"{slug(name)}-{short_hash(f'{uid}/{run}')}"


def shard(base: str, step: int, stage: str, number: int) -> str:
    """Return the name of a task shard."""
    return f"{base}-{step}-{stage}-{number}"


def lease(base: str, index: int) -> str:
    """Return the name of a worker's Lease."""
    return f"{base}-w-{index}"


def config_map(base: str) -> str:
    """Return the name of the ConfigMap that holds the workers' settings."""
    return f"{base}-config"


def secret(base: str) -> str:
    """Return the name of the Secret that holds the workers' storage keys."""
    return f"{base}-storage"


def account(base: str) -> str:
    """Return the name of the workers' service account, of their Role and of their RoleBinding."""
    return f"{base}-worker"


def workers(base: str, generation: int) -> str:
    """Return the name of the Kubernetes Job that runs the workers."""
    return f"{base}-workers-{generation}" if generation else f"{base}-workers"


def stage_label(step: int, stage: str) -> str:
    """Return the value of a shard's stage label."""
    return f"{step}-{stage}"


def labels(uid: str, run: int) -> dict[str, str]:
    """Return the labels of every child."""
    return {LABEL_UID: uid, LABEL_RUN: str(run), MANAGED_BY: "kubemr"}


def selector(uid: str, run: int | None = None, *more: str) -> str:
    """Return a label selector for a job's children, of one run or of all; `more` are additional requirements."""
    parts = [f"{LABEL_UID}={uid}"] if run is None else [f"{LABEL_UID}={uid}", f"{LABEL_RUN}={run}"]
    return ",".join([*parts, *more])


def owner(name: str, uid: str) -> Json:
    """Return the ownerReference of every child.

    It does not block the owner's deletion: the finalizer keeps the order.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def storage_prefix(name: str, uid: str) -> str:
    """Return the prefix of a job's keys below the bucket's own prefix, ending in a slash.

    It is the same for every run.
    """
    return f"{slug(name)}-{short_hash(uid)}/"


def stage_prefix(job_prefix: str, step: int, stage: str) -> str:
    """Return the prefix below which all attempts of a stage's tasks write."""
    return f"{job_prefix}{step}/{stage}/"


def task_prefix(job_prefix: str, step: int, stage: str, number: int) -> str:
    """Return the prefix below which all attempts of one task write."""
    return f"{stage_prefix(job_prefix, step, stage)}{number}/"


def attempt_prefix(job_prefix: str, step: int, stage: str, number: int, attempt: str) -> str:
    """Return the prefix below which one attempt writes."""
    return f"{task_prefix(job_prefix, step, stage, number)}{attempt}/"


def index_key(job_prefix: str, run: int, step: int, stage: str) -> str:
    """Return the key of a sealed stage's index."""
    return f"{job_prefix}run-{run}/{step}-{stage}.index.json"


def inputs_prefix(job_prefix: str) -> str:
    """Return the prefix of all split plans of a job, whose spec does not list the inputs."""
    return f"{job_prefix}inputs/"


def plan_prefix(job_prefix: str, plan: str) -> str:
    """Return the prefix of one split plan.

    Several plans may be written in part; `status.inputs.plan` names the one that counts.
    """
    return f"{inputs_prefix(job_prefix)}{plan}/"


def inputs_chunk(job_prefix: str, plan: str, number: int) -> str:
    """Return the key of a chunk of the split plan: the splits of some consecutive tasks."""
    return f"{plan_prefix(job_prefix, plan)}{number}.json"
