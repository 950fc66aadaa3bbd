"""The local node turns Jobs into pods and processes, and writes their status."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubemr.coordination.kinds import CONFIG_MAPS, JOB_COMPLETION_INDEX, KUBERNETES_JOBS, PODS
from kubemr.local.list_watch import Listed
from kubemr.local.node.node import Node, _JobsChanged, _PodsChanged
from kubemr.local.output_log import OutputLog
from kubemr.locks.config import Server
from kubemr.locks.effects import MERGE_PATCH
from support.embeddedclient import Api
from support.workerharness import PATIENCE, wait_for_end


class Lab:
    """A node on an apiserver."""

    def __init__(self, api: Api, directory: Path) -> None:
        self.api = api
        self.directory = directory
        self.output_log = OutputLog()
        self.failures: list[Exception] = []
        environ = {"PATH": os.environ["PATH"], "FROM_USER": "yes"}
        self.node = Node(api.server, directory, environ, self.output_log, self.failures.append)

    def create(
        self, *script: str, name: str = "job", completions: int = 1, backoff_limit: int = 6, **container: Any
    ) -> Any:
        """Create a Job whose pods run a shell script."""
        command = {"command": ["sh", "-c", *script]} if script else {}
        worker = {"name": "worker", "image": "none", **command, **container}
        spec = {
            "completionMode": "Indexed",
            "completions": completions,
            "parallelism": completions,
            "backoffLimit": backoff_limit,
            "template": {"spec": {"restartPolicy": "Never", "containers": [worker]}},
        }
        body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
        return self.api.send("create", KUBERNETES_JOBS, body=body)

    def condition(self) -> Any:
        """Return the Job's condition, once it has one."""
        jobs = self.api.until(KUBERNETES_JOBS, lambda jobs: bool(jobs["job"].get("status", {}).get("conditions")))
        (condition,) = jobs["job"]["status"]["conditions"]
        return condition

    def pods(self) -> list[Any]:
        """Return all pods."""
        items: list[Any] = self.api.send("list", PODS)["items"]
        return items


@pytest.fixture
def lab(api: Api, tmp_path: Path) -> Iterator[Lab]:
    directory = tmp_path / "node"
    directory.mkdir()
    lab = Lab(api, directory)
    lab.node.start()
    yield lab
    lab.node.stop()
    assert lab.failures == []
    assert list(directory.iterdir()) == []


def test_every_index_runs_once_and_the_job_is_complete(lab: Lab) -> None:
    """The pods have the template's labels, the Job as owner, and their index; they end as Succeeded."""
    lab.create('echo "$JOB_COMPLETION_INDEX $FROM_USER $KUBEMR_APISERVER_TOKEN $(ls -d "$TMPDIR")"', completions=2)
    condition = lab.condition()
    assert (condition["type"], condition["status"]) == ("Complete", "True")
    printed = {line.split(" ")[0]: line for _, line in lab.output_log.last()}
    assert sorted(printed) == ["0", "1"]
    assert all(f"yes secret {lab.directory}/job-" in line for line in printed.values())
    for pod in lab.pods():
        assert pod["status"]["phase"] == "Succeeded"
        assert pod["metadata"]["ownerReferences"][0]["name"] == "job"
        assert pod["metadata"]["name"].startswith(
            f"job-{pod['metadata']['labels']['batch.kubernetes.io/job-completion-index']}-"
        )
    job = lab.api.send("get", KUBERNETES_JOBS, "job")
    assert job["status"]["succeeded"] == 2
    assert job["status"]["completedIndexes"] == "0,1"


def test_a_failed_pod_is_followed_by_another(lab: Lab, tmp_path: Path) -> None:
    """The pod holds the exit code and the last output."""
    lab.create(f"test -e {tmp_path}/second || {{ touch {tmp_path}/second; echo oh no >&2; exit 3; }}")
    assert lab.condition()["type"] == "Complete"
    failed, succeeded = sorted(lab.pods(), key=lambda pod: str(pod["status"]["phase"]))
    terminated = failed["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"], terminated["message"]) == (3, "Error", "oh no")
    assert succeeded["status"]["phase"] == "Succeeded"


def test_too_many_failures_end_the_job(lab: Lab) -> None:
    """More than `backoffLimit` failures mark it Failed; running pods are ended first."""
    lab.create('test "$JOB_COMPLETION_INDEX" = 1 && exec sleep 1000; exit 1', completions=2, backoff_limit=2)
    condition = lab.condition()
    assert (condition["type"], condition["reason"]) == ("Failed", "BackoffLimitExceeded")
    phases = sorted(pod["status"]["phase"] for pod in lab.pods())
    assert phases == ["Failed"] * 4


def test_a_signal_is_an_exit_code(lab: Lab) -> None:
    """It is 128 + the signal's number, as in Kubernetes."""
    lab.create("kill -9 $$$$", backoff_limit=0)  # $$ is one $, as in Kubernetes
    lab.condition()
    (pod,) = lab.pods()
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


def test_a_command_that_cannot_be_started(lab: Lab) -> None:
    """The pod fails with StartError and says why."""
    lab.create(command=["/nonexistent"], backoff_limit=0)
    lab.condition()
    (pod,) = lab.pods()
    terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert terminated["reason"] == "StartError"
    assert "/nonexistent" in terminated["message"]


def test_variables_from_a_config_map(lab: Lab) -> None:
    """`envFrom` is read when the pod starts."""
    lab.api.send("create", CONFIG_MAPS, body={"metadata": {"name": "settings"}, "data": {"WHO": "me"}})
    lab.create('echo "it is $WHO"', envFrom=[{"configMapRef": {"name": "settings"}}])
    assert lab.condition()["type"] == "Complete"
    assert lab.output_log.last() == [("worker 0", "it is me")]


def started(lab: Lab) -> int:
    """Return the process id of the only pod, once it runs."""
    lab.api.until(PODS, lambda pods: any(pod["status"].get("phase") == "Running" for pod in pods.values()))
    (pid,) = [pod.process.pid for pod in lab.node._pods.values() if pod.process is not None]
    return pid


def delete(lab: Lab, resource: Any, name: str) -> None:
    lab.api.send("delete", resource, name, body={"propagationPolicy": "Background"})


def test_a_deleted_job_takes_its_pods_and_processes_along(lab: Lab) -> None:
    """SIGTERM is enough for a process that obeys it; the pod is removed only after its process has ended."""
    lab.create("exec sleep 1000")
    pid = started(lab)
    delete(lab, KUBERNETES_JOBS, "job")
    lab.api.until(PODS, lambda pods: not pods)
    wait_for_end(pid)


def test_who_ignores_sigterm_is_killed(lab: Lab) -> None:
    """Its whole group is killed after the grace period."""
    lab.create("trap '' TERM; while :; do sleep 1000; done")
    pid = started(lab)
    delete(lab, KUBERNETES_JOBS, "job")
    lab.api.until(PODS, lambda pods: not pods)
    wait_for_end(pid)


def test_a_deleted_pod_is_replaced(lab: Lab) -> None:
    """As after a drain, it does not count as a failure."""
    lab.create("exec sleep 1000", backoff_limit=0)
    started(lab)
    (first,) = lab.pods()
    lab.api.send("delete", PODS, first["metadata"]["name"])
    lab.api.until(PODS, lambda pods: bool(pods) and first["metadata"]["name"] not in pods)
    assert not lab.api.send("get", KUBERNETES_JOBS, "job")["status"].get("conditions")


def test_a_pod_that_was_deleted_just_before_it_ended_goes_too(api: Api, tmp_path: Path) -> None:
    """Its process has ended before the node gets the deletion event: only the node can remove the pod."""
    lab = Lab(api, tmp_path)
    lab.node._threads.pop()  # What follows pods: the news never comes.
    lab.node.start()
    os.mkfifo(tmp_path / "go")
    lab.create(f"read line < {tmp_path}/go")
    started(lab)
    (pod,) = lab.pods()
    lab.api.send("delete", PODS, pod["metadata"]["name"])
    (tmp_path / "go").write_text("on\n")
    lab.api.until(PODS, lambda pods: pod["metadata"]["name"] not in pods)
    lab.node.stop()


def change(lab: Lab, **spec: Any) -> None:
    """Change the Job's spec."""
    lab.api.send("patch", KUBERNETES_JOBS, "job", body={"spec": spec}, content_type=MERGE_PATCH)


def running(pods: dict[str, Any]) -> set[str]:
    """Return the indexes of the running pods."""
    return {
        pod["metadata"]["labels"][JOB_COMPLETION_INDEX]
        for pod in pods.values()
        if pod["status"].get("phase") == "Running"
    }


def test_a_suspended_job_has_no_processes_until_it_is_resumed(lab: Lab) -> None:
    """They get SIGTERM, and none of them counts as failed."""
    lab.create("exec sleep 1000", backoff_limit=0)
    pid = started(lab)
    change(lab, suspend=True)
    lab.api.until(PODS, lambda pods: not pods)
    wait_for_end(pid)
    change(lab, suspend=False)
    lab.api.until(PODS, lambda pods: running(pods) == {"0"})
    assert not lab.api.send("get", KUBERNETES_JOBS, "job")["status"].get("conditions")


def test_a_job_that_grows_and_shrinks(lab: Lab) -> None:
    """New indexes get pods; a smaller Job loses the highest ones, and the others run on."""
    lab.create("exec sleep 1000", backoff_limit=0)
    pid = started(lab)
    change(lab, completions=3, parallelism=3)
    lab.api.until(PODS, lambda pods: running(pods) == {"0", "1", "2"})
    change(lab, completions=1, parallelism=1)
    lab.api.until(PODS, lambda pods: running(pods) == {"0"} and len(pods) == 1)
    os.kill(pid, 0)
    assert not lab.api.send("get", KUBERNETES_JOBS, "job")["status"].get("conditions")


def test_a_change_that_shows_first_in_the_answer_to_a_report_is_followed(api: Api, tmp_path: Path) -> None:
    """The watch event of the change arrives later, and then counts as old."""
    lab = Lab(api, tmp_path)
    lab.node._threads.pop(1)  # What follows Jobs: news of them comes by hand.
    lab.node.start()
    os.mkfifo(tmp_path / "go")
    created = lab.create(
        f'test "$JOB_COMPLETION_INDEX" = 1 && exec sleep 1000; read line < {tmp_path}/go', completions=2
    )
    lab.node._events.put(_JobsChanged(Listed([created])))
    # The answer to this report must not contain the change yet: then no process would read from the pipe.
    lab.api.until(KUBERNETES_JOBS, lambda jobs: jobs["job"].get("status", {}).get("active") == 2)
    change(lab, suspend=True)
    (tmp_path / "go").write_text("on\n")
    lab.api.until(PODS, lambda pods: running(pods) == set())
    lab.node.stop()


def test_a_job_that_shrinks_to_what_has_succeeded_is_complete(lab: Lab) -> None:
    """The change of the Job is the only event that shows it."""
    lab.create('test "$JOB_COMPLETION_INDEX" = 0 || exec sleep 1000', completions=2)
    lab.api.until(KUBERNETES_JOBS, lambda jobs: jobs["job"].get("status", {}).get("succeeded") == 1)
    change(lab, completions=1, parallelism=1)
    assert lab.condition()["type"] == "Complete"


def test_stop_ends_all_processes(api: Api, tmp_path: Path) -> None:
    """Nothing runs when `stop` returns."""
    lab = Lab(api, tmp_path)
    lab.node.start()
    lab.create("exec sleep 1000")
    pid = started(lab)
    lab.node.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_refusal_ends_the_node_with_an_error(api: Api, tmp_path: Path) -> None:
    """A request that the apiserver will never allow is not retried forever."""
    failed: queue.SimpleQueue[Exception] = queue.SimpleQueue()
    node = Node(Server(api.server.url, token="wrong"), tmp_path, {}, OutputLog(), failed.put)
    node.start()
    assert "HTTP 401" in str(failed.get(timeout=PATIENCE))
    node.stop()


def test_a_list_that_is_older_than_a_pod_does_not_end_it(lab: Lab) -> None:
    """The first list of pods may be on its way when the first pod is created."""
    lab.create("exec sleep 1000", backoff_limit=0)
    pid = started(lab)
    lab.node._events.put(_PodsChanged(Listed([])))
    lab.create("true", name="second")
    lab.api.until(PODS, lambda pods: any(pod["status"].get("phase") == "Succeeded" for pod in pods.values()))
    os.kill(pid, 0)
    (first,) = [pod for pod in lab.pods() if pod["metadata"]["ownerReferences"][0]["name"] == "job"]
    assert not first["metadata"].get("deletionTimestamp")
    assert first["status"]["phase"] == "Running"
