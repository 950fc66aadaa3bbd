"""The pods of a job: what the user's template keeps, and what the operator sets."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import StorageSettings
from kubemr.controller.reconcile.objects import builders
from kubemr.locks.effects import Json
from support.bench import Bench

ONE_ENTRY, AN_ENTRY_EACH = 1, 32
PLAIN = StorageSettings({}, {})
LENT = StorageSettings({}, {"KUBEMR_S3_SECRET_ACCESS_KEY": "hush"})


def pod(bench: Bench, storage: StorageSettings = PLAIN, **spec: Json) -> Json:
    """Return the pod template of a job."""
    return builders.workers(bench.submit(**spec), 2, storage)["spec"]["template"]


def test_the_users_template_stays(bench: Bench) -> None:
    """Tolerations, labels, other containers and the worker's own fields."""
    template = {
        "metadata": {"labels": {"team": "search"}, "annotations": {"a": "b"}},
        "spec": {
            "tolerations": [{"key": "spot", "operator": "Exists"}],
            "containers": [{"name": "proxy", "image": "p"}, {"name": "worker", "envFrom": [{"prefix": "X"}]}],
        },
    }
    made = pod(bench, storage=LENT, template=template, resources={"requests": {"cpu": "1"}})
    assert made["metadata"]["annotations"] == {"a": "b"}
    assert made["metadata"]["labels"]["team"] == "search"
    assert made["metadata"]["labels"][builders.LABEL_GENERATION] == "2"
    proxy, worker = made["spec"]["containers"]
    assert proxy == {"name": "proxy", "image": "p"}
    assert worker["image"] == "i"
    assert worker["resources"] == {"requests": {"cpu": "1"}}
    assert [next(iter(each)) for each in worker["envFrom"]] == ["prefix", "configMapRef", "secretRef"]
    assert made["spec"]["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert made["spec"]["restartPolicy"] == "Never"


def test_a_worker_container_is_added_first(bench: Bench) -> None:
    """Where the template has other containers only, or none."""
    made = pod(bench, template={"spec": {"containers": [{"name": "proxy", "image": "p"}]}})
    assert [each["name"] for each in made["spec"]["containers"]] == ["worker", "proxy"]
    assert made["spec"]["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_a_job_of_another_form_has_no_image(bench: Bench) -> None:
    """Then the template's own counts."""
    job = bench.submit()
    del job.document["spec"]["image"]
    made = builders.workers(job, 0, PLAIN)["spec"]["template"]
    assert "image" not in made["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("workers", "entries"), [(1, ONE_ENTRY), (2, ONE_ENTRY), (3, AN_ENTRY_EACH), (64, AN_ENTRY_EACH)]
)
def test_tasks_have_one_entry_unless_workers_share_their_shard(bench: Bench, workers: int, entries: int) -> None:
    """Two shards of 32 tasks: with more workers than that, no worker claims a whole one."""
    job = bench.deployed(inputs=[str(number) for number in range(64)], replicas=workers, partitions=0)
    found = [bench.get(bench.shard(job, 0, number).target)["tasks"] for number in range(2)]
    assert [len(tasks) for tasks in found] == [entries] * 2
    assert all(set(tasks.values()) == {"pending/1/0/0/"} for tasks in found)


def test_the_kubernetes_job_is_indexed_and_puts_up_with_some_failures(bench: Bench) -> None:
    """One pod per worker; a disruption is not counted as a failure."""
    made = builders.workers(bench.submit(replicas=3), 0, PLAIN)["spec"]
    assert (made["completionMode"], made["completions"], made["parallelism"]) == ("Indexed", 3, 3)
    assert made["backoffLimit"] == 18
    patient = builders.workers(bench.submit("patient", replicas=3, maxAttempts=10), 0, PLAIN)["spec"]
    assert patient["backoffLimit"] == 36, "a task may kill eleven workers, and then it is named"
    assert made["podFailurePolicy"]["rules"][0]["action"] == "Ignore"


def test_keys_come_from_the_secret_that_the_job_names(bench: Bench) -> None:
    """By reference, after the user's own variables: nothing is copied."""
    template = {"spec": {"containers": [{"name": "worker", "env": [{"name": "MINE", "value": "1"}]}]}}
    (worker,) = pod(bench, StorageSettings({}, {}, "s3-keys"), template=template)["spec"]["containers"]
    assert worker["env"] == [
        {"name": "MINE", "value": "1"},
        {
            "name": "KUBEMR_S3_ACCESS_KEY_ID",
            "valueFrom": {"secretKeyRef": {"name": "s3-keys", "key": "accessKeyId"}},
        },
        {
            "name": "KUBEMR_S3_SECRET_ACCESS_KEY",
            "valueFrom": {"secretKeyRef": {"name": "s3-keys", "key": "secretAccessKey"}},
        },
    ]
    assert [next(iter(each)) for each in worker["envFrom"]] == ["configMapRef"]


@pytest.mark.parametrize(("workers", "seconds"), [(1, 15), (100, 15), (200, 30), (400, 60), (1000, 60)])
def test_leases_of_large_jobs_last_longer(bench: Bench, workers: int, seconds: int) -> None:
    """This bounds the rate of renewals; the workers' settings and each Lease have the duration."""
    job = bench.submit(replicas=workers)
    assert builders.lease(job, 3, 15.0)["spec"]["leaseDurationSeconds"] == seconds
    assert builders.config_map(job, PLAIN, 15.0)["data"]["KUBEMR_LEASE_SECONDS"] == str(seconds)
