"""A task that hangs fails when its time is up, the job with it after `maxAttempts`; `restarts` gives it another run.

What the attempts printed, and why they failed, is read with `kubemr attempts` and `kubemr logs`: their pods are gone.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from support.cluster_documents import Documents, text_of, words_of
from support.cluster_kubemr import Job, Kubemr, until, word_count

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SAID = "on its way"
"""What each attempt prints."""


def command_line(job: Job, command: str, *arguments: str) -> str:
    """What `kubemr COMMAND JOB …` prints on this machine, with the cluster's kubeconfig and the store's keys."""
    s3 = job.kubemr.s3
    environ = {
        **os.environ,
        "KUBECONFIG": str(job.kubemr.cluster.kubeconfig),
        "KUBEMR_S3_ACCESS_KEY_ID": s3.access_key,
        "KUBEMR_S3_SECRET_ACCESS_KEY": s3.secret_key,
    }
    where = ["-n", job.namespace, "--endpoint", s3.outside_endpoint]
    program = [sys.executable, "-m", "kubemr", command, job.name, *arguments, *where]
    done = subprocess.run(program, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_task_that_hangs_and_a_second_run(
    kubemr: Kubemr, cluster_namespace: str, documents: Documents, wordcount_image: str
) -> None:
    """Two attempts, each ended after two seconds without progress; what the other task did is not done again."""
    inputs = [documents.url("rfc4501.txt"), documents.url("rfc2017.txt", gate=cluster_namespace)]
    limits = {"taskTimeoutSeconds": 2, "maxAttempts": 2, "jobargs": {"say": SAID}}
    job = kubemr.submit(cluster_namespace, word_count("hangs", wordcount_image, inputs, **limits))
    status = job.wait("Failed", 60)["status"]
    assert status["phase"] == "FAIL"
    assert "map/1" in status["error"]
    assert "no progress for 2 s" in status["error"]
    until(lambda: not job.children("pods"), "its pods are gone", 60)

    shown = command_line(job, "attempts").splitlines()
    failed = [line.split()[0] for line in shown if line.split()[1] == "failed"]
    assert [re.fullmatch(r"map/1/(\d)-w[01]-[a-z0-9]+", each)[1] for each in failed] == ["1", "2"], shown  # type: ignore[index]  # None fails, too
    assert all("no progress for 2 s" in line for line in shown if line.split()[0] in failed)
    assert command_line(job, "logs", failed[1]).strip() == SAID

    untouched = command_line(job, "attempts", "map/0")

    documents.open_gate(cluster_namespace)
    job.kubectl("patch", "mrj", job.name, "--type=merge", "-p", json.dumps({"spec": {"restarts": 1}}))
    job.until("jsonpath={.status.observedRestarts}=1")
    status = job.wait()["status"]
    assert (status["phase"], status["run"]) == ("COMPLETE", 2)
    assert "error" not in status
    assert job.words() == words_of(text_of("rfc4501.txt"), text_of("rfc2017.txt"))
    assert command_line(job, "attempts", "map/0") == untouched
    job.delete()
