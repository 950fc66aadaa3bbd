"""What Kubernetes would drop from a pod template without a word, or refuse when the job is under way."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from kubemr.resources import validate
from support.jobs import example


def _problems(pod: str) -> list[Any]:
    job = example("seed")
    job["spec"]["template"] = {"spec": yaml.safe_load(pod)}
    return validate(job)


@pytest.mark.parametrize(
    ("pod", "path", "words"),
    [
        ("{hostNetwrok: true}", "hostNetwrok", r"did you mean hostNetwork\?"),
        ("{hostNetwork: 'true'}", "hostNetwork", "true or false without quotes"),
        ("{hostPID: 1}", "hostPID", "true or false"),
        ("{terminationGracePeriodSeconds: -1}", "terminationGracePeriodSeconds", "-1: must be at least 0"),
        ("{terminationGracePeriodSeconds: '5'}", "terminationGracePeriodSeconds", "without quotes"),
        ("{tolerations: {key: spot}}", "tolerations", "must be a list"),
        ("{nodeSelector: [a]}", "nodeSelector", "an object with members"),
        ("{serviceAccountName: 3}", "serviceAccountName", "must be a string"),
        ("{containers: [{name: worker, command: python w.py}]}", "containers[0].command", "remedy: .*a list"),
        ("{containers: [{name: worker, args: x}]}", "containers[0].args", "list of strings"),
        ("{containers: [{name: worker, command: [sleep, 3]}]}", "containers[0].command[1]", 'quote it: "3"'),
        ("{containers: [{name: worker, comand: [x]}]}", "containers[0].comand", r"did you mean command\?"),
        ("{containers: [{name: worker, tty: 'no'}]}", "containers[0].tty", "true or false"),
        ("{containers: [{name: side, image: A/b}]}", "containers[0].image", r"did you mean a/b\?"),
        ("{containers: [{name: worker, volumeMounts: [{name: v, mountPath: /d}]}]}",
         "containers[0].volumeMounts[0].name", '"v": is not a volume of the pod; remedy: add it to volumes'),
        ("{volumes: [{name: w, emptyDir: {}}], containers: [{name: worker, volumeMounts: [{name: v, mountPath: /d}]}]}",
         "containers[0].volumeMounts[0].name", "volumes, which has w"),
        ("{volumes: [{name: v, emptyDir: {}}], containers: [{name: worker, volumeMounts: [{name: v}]}]}",
         "containers[0].volumeMounts[0].mountPath", "is required"),
        ("{initContainers: [{name: i, image: x, volumeMounts: [3]}]}", "initContainers[0].volumeMounts[0]", "object"),
    ],
)  # fmt: skip
def test_refused(pod: str, path: str, words: str) -> None:
    """One problem, with path, value and remedy."""
    (problem,) = _problems(pod)
    assert problem.path == f"spec.template.spec.{path}"
    assert re.search(words, str(problem)), problem


@pytest.mark.parametrize(
    "pod",
    [
        "{}",
        "{hostNetwork: null, tolerations: null, terminationGracePeriodSeconds: 0, restartPolicy: Never}",
        "{volumes: [{name: v, emptyDir: {}}], nodeSelector: {a: b}, imagePullSecrets: [{name: s}], hostUsers: false}",
        "{volumes: [{name: v, emptyDir: {}}], containers: [{name: worker, command: [a], args: ['1'],"
        " volumeMounts: [{name: v, mountPath: /d}], securityContext: {}, tty: false}]}",
    ],
)
def test_allowed(pod: str) -> None:
    """Pods that Kubernetes takes."""
    assert _problems(pod) == []


def test_labels_of_the_template() -> None:
    """They obey the rules for all labels."""
    job = example("seed")
    job["spec"]["template"] = {"metadata": {"labels": {"a": "b c"}}}
    (problem,) = validate(job)
    assert problem.path == "spec.template.metadata.labels.a"
