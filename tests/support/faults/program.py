"""The job that faults strike: a word count whose tasks take their time, and of which two may wait for a gate each."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal, get_args

from kubemr.coordination import names

TASKS, PARTITIONS, WORKERS = 60, 4, 3
TASK_SECONDS = 0.25
PROGRAM = "faults-program"
"""The ConfigMap that holds the program."""

BEGUN = "begun"
"""What an attempt stores before it waits for a gate."""

Gate = Literal["job", "victim"]
"""Which of the two: of the task that holds the job open, or of the one that the struck worker is at."""
GATES: tuple[Gate, ...] = get_args(Gate)

LABEL = "e2e-faults"
"""On the pods, with the job's name."""

SOURCE = f"""
import sys, time
sys.path.insert(0, "/opt")
import kubemr
from kubemr.storage.errors import NoSuchKeyError
from wordcount import WordCount

class SlowCount(WordCount):
    def _texts(self, input):
        seconds, gate, text = input.split(" ", 2)
        time.sleep(float(seconds))
        if gate == "greedy" and self.task.attempt.startswith("1-"):
            bytearray(1 << 30)
        if gate in self.job.jobargs:
            self.store("{BEGUN}", b"begun")
            while not self._open(self.job.jobargs[gate]):
                self.progress()
                time.sleep(0.2)
        yield text.encode()

    def _open(self, key):
        try:
            self.fetch(key)
        except NoSuchKeyError:
            return False
        return True

    def reduce(self, inputs):
        time.sleep(0.25)
        return super().reduce(inputs)

if __name__ == "__main__":
    kubemr.serve(SlowCount())
"""


def texts() -> list[str]:
    """What the tasks count, the same each time."""
    draw = random.Random(5)
    return [" ".join(f"word{draw.randrange(300)}" for _ in range(30)) for _ in range(TASKS)]


def words() -> Counter[bytes]:
    """What there is to count."""
    return Counter(" ".join(texts()).encode().split())


def gate_of(name: str, gate: Gate) -> str:
    """The key in the store of what a task of the job `name` waits for."""
    return f"gates/{name}/{gate}"


def config_map(namespace: str) -> Any:
    """The program, as pods mount it."""
    metadata = {"name": PROGRAM, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"slow.py": SOURCE}}


def slow_count(
    name: str,
    image: str,
    *,
    gated: bool = False,
    lasting: int | None = None,
    memory: str = "",
    workers: int = WORKERS,
    command: tuple[str, ...] = ("python3", "/program/slow.py"),
    volumes: Mapping[str, Any] | None = None,
    spread: bool = False,
) -> Any:
    """The manifest.

    The first task of a job that is `gated`, and the one numbered `lasting`, end no sooner than their gate is open.
    With a `memory` limit the second task asks for more than that, when it is tried first.
    `volumes` are further ones by name, mounted at `/<name>`.  Workers that are `spread` are on all nodes, as many on
    each, and are given up with a node that is unreachable for 2 s.
    """
    sources: dict[str, Any] = {"program": {"configMap": {"name": PROGRAM}}, **(volumes or {})}
    worker: dict[str, Any] = {
        "name": "worker",
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "volumeMounts": [{"name": each, "mountPath": f"/{each}"} for each in sources],
    }
    if memory:
        worker["resources"] = {"limits": {"memory": memory}}
    spec = {
        "containers": [worker],
        "volumes": [{"name": each, **source} for each, source in sources.items()],
        "terminationGracePeriodSeconds": 5,
        **(_spread(name) if spread else {}),
    }
    kinds = {0: "job" if gated else "free", 1: "greedy" if memory else "free"}
    if lasting is not None:
        kinds[lasting] = "victim"
    inputs = [f"{TASK_SECONDS} {kinds.get(task, 'free')} {text}" for task, text in enumerate(texts())]
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": {
            "image": image,
            "replicas": workers,
            "partitions": PARTITIONS,
            "inputs": inputs,
            "jobargs": {gate: gate_of(name, gate) for gate in GATES},
            "template": {"metadata": {"labels": {LABEL: name}}, "spec": spec},
        },
    }


def _spread(name: str) -> dict[str, Any]:
    evenly = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {LABEL: name}},
        "nodeTaintsPolicy": "Honor",
    }
    # Kubernetes waits five minutes for a node to come back, unless told otherwise.
    patience = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2}
    taints = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
    return {
        "topologySpreadConstraints": [evenly],
        "tolerations": [{"key": taint, **patience} for taint in taints],
    }
