"""The pods of a job: what the user's template keeps, and what the operator sets."""

from __future__ import annotations

from kubemr.controller.reconcile import children
from kubemr.locks.request import Json
from support.bench import Bench


def pod(bench: Bench, *, has_secret: bool = False, **spec: Json) -> Json:
    """The pod template of a job."""
    return children.workers(bench.submit(**spec), 2, has_secret=has_secret)["spec"]["template"]


def test_the_users_template_stays(bench: Bench) -> None:
    """Tolerations, labels, other containers and the worker's own fields."""
    template = {
        "metadata": {"labels": {"team": "search"}, "annotations": {"a": "b"}},
        "spec": {
            "tolerations": [{"key": "spot", "operator": "Exists"}],
            "containers": [{"name": "proxy", "image": "p"}, {"name": "worker", "envFrom": [{"prefix": "X"}]}],
        },
    }
    made = pod(bench, template=template, has_secret=True, resources={"requests": {"cpu": "1"}})
    assert made["metadata"]["annotations"] == {"a": "b"}
    assert made["metadata"]["labels"]["team"] == "search"
    assert made["metadata"]["labels"][children.LABEL_GENERATION] == "2"
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
    made = children.workers(job, 0, has_secret=False)["spec"]["template"]
    assert "image" not in made["spec"]["containers"][0]


def test_the_kubernetes_job_is_indexed_and_puts_up_with_some_failures(bench: Bench) -> None:
    """One pod per worker; a disruption is not counted as a failure."""
    made = children.workers(bench.submit(replicas=3), 0, has_secret=False)["spec"]
    assert (made["completionMode"], made["completions"], made["parallelism"]) == ("Indexed", 3, 3)
    assert made["backoffLimit"] == 18
    assert made["podFailurePolicy"]["rules"][0]["action"] == "Ignore"
