"""Build Pod objects as Kubernetes' Job controller creates them, and their status as a kubelet reports it."""

from __future__ import annotations

from typing import Final

from kubemr.controller.reconcile.objects.builders import CONTAINER
from kubemr.coordination.kinds import CONTROLLER_UID, JOB_COMPLETION_INDEX, JOB_NAME
from kubemr.coordination.timestamps import timestamp
from kubemr.locks.effects import Json

NODE: Final = "local"
START_ERROR: Final = 128
"""The exit code of a container that could not be started."""


def new_pod(job: Json, index: int) -> Json:
    """Return the pod of one index of an Indexed Job, already assigned to this node."""
    name, template = job["metadata"]["name"], job["spec"]["template"]
    given = template.get("metadata") or {}
    labels = {
        **(given.get("labels") or {}),
        JOB_NAME: name,
        CONTROLLER_UID: job["metadata"]["uid"],
        JOB_COMPLETION_INDEX: str(index),
    }
    completion = {"name": "JOB_COMPLETION_INDEX", "value": str(index)}
    containers = [{**each, "env": [completion, *(each.get("env") or [])]} for each in template["spec"]["containers"]]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{name}-{index}-",
            "namespace": job["metadata"]["namespace"],
            "labels": labels,
            "annotations": {**(given.get("annotations") or {}), JOB_COMPLETION_INDEX: str(index)},
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": name,
                    "uid": job["metadata"]["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {**template["spec"], "containers": containers, "nodeName": NODE},
    }


def container_of(pod: Json) -> Json:
    """Return the worker's container."""
    return next(each for each in pod["spec"]["containers"] if each["name"] == CONTAINER)


def running() -> Json:
    """Return the status of a pod whose process runs."""
    now = timestamp()
    return _pod_status("Running", now, {"running": {"startedAt": now}})


def terminated(code: int, message: str, reason: str = "") -> Json:
    """Return the status of a pod whose process has ended.

    `message` is the last output of the process; it is used if the process failed.
    """
    now = timestamp()
    state = {
        "exitCode": code,
        "reason": reason or ("Completed" if code == 0 else "Error"),
        "finishedAt": now,
        **({"message": message} if code and message else {}),
    }
    return _pod_status("Succeeded" if code == 0 else "Failed", now, {"terminated": state})


def _pod_status(phase: str, now: str, state: Json) -> Json:
    container = {
        "name": CONTAINER,
        "image": "",
        "imageID": "",
        "ready": phase == "Running",
        "restartCount": 0,
        "state": state,
    }
    return {"phase": phase, "containerStatuses": [container]}
