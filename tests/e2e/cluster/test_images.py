"""The images run under the cluster's strictest rules, end when they are told to, and say what is wrong."""

from __future__ import annotations

import json

import pytest

from support.cluster_access import ClusterAccess
from support.cluster_kubemr import NAMESPACE, Kubemr
from support.cluster_pods import pod, python_pod, run

pytestmark = pytest.mark.cluster

LOOK_AROUND = """
import importlib, importlib.util, os, pathlib, pkgutil, sys
print("user", os.getuid(), "process", os.getpid())
names = []
for package in sys.argv[1:]:
    module = importlib.import_module(package)
    names += [package, *(found.name for found in pkgutil.walk_packages(module.__path__, package + "."))]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
files = [pathlib.Path(m.__file__) for n, m in sys.modules.items() if n.startswith("kubemr") and m.__file__]
print("not compiled:", *(f for f in files if not os.path.exists(importlib.util.cache_from_source(f))))
"""


@pytest.fixture
def restricted_namespace(cluster: ClusterAccess, cluster_namespace: str) -> str:
    """A namespace that takes no pod but such as are restricted."""
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", cluster_namespace, label)
    return cluster_namespace


@pytest.mark.parametrize(
    ("fixture", "packages"),
    [
        ("operator_image", ["kubemr.controller"]),
        ("worker_image", ["kubemr.worker", "kubemr.storage", "kubemr.coordination", "kubemr.locks"]),
        ("wordcount_image", ["kubemr.worker"]),
    ],
)
def test_an_image_is_whole_and_runs_restricted(
    cluster: ClusterAccess,
    restricted_namespace: str,
    request: pytest.FixtureRequest,
    fixture: str,
    packages: list[str],
) -> None:
    """As a user without rights on a read-only file system, every module is there, compiled, with what it imports."""
    image = request.getfixturevalue(fixture)
    ended = run(cluster, restricted_namespace, python_pod("look", image, LOOK_AROUND, *packages))
    assert ended.log.splitlines() == ["user 65532 process 1", "not compiled:"]
    assert ended.status == 0


@pytest.mark.parametrize(("fixture", "key"), [("wordcount_image", "event"), ("wordcount_go_image", "msg")])
def test_a_word_count_outside_of_a_job_says_what_is_missing(
    cluster: ClusterAccess, restricted_namespace: str, request: pytest.FixtureRequest, fixture: str, key: str
) -> None:
    """One line that names the variable and the remedy; status 2, which is that of wrong settings."""
    ended = run(cluster, restricted_namespace, pod("lost", request.getfixturevalue(fixture)))
    (line,) = ended.log.splitlines()
    event = json.loads(line)
    assert ended.status == 2
    assert event[key] == "invalid_settings"
    assert event["error"].startswith("KUBEMR_JOB_NAMESPACE is not set: ")


def test_the_operator_ends_when_told_to(cluster: ClusterAccess, kubemr: Kubemr) -> None:
    """As process 1, to which the kernel sends no signal that it does not handle: SIGTERM reaches it, and it leaves."""
    name = kubemr.pods()[0]["metadata"]["name"]
    tell = "import os, signal; os.kill(1, signal.SIGTERM)"
    cluster.kubectl("-n", NAMESPACE, "exec", name, "--", "python3", "-c", tell)
    ended = "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}=0"
    cluster.kubectl("-n", NAMESPACE, "wait", f"pod/{name}", f"--for={ended}", "--timeout=30s")
    kubemr.settle()
