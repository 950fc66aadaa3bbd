"""The first kubemr's manifest, unchanged to the byte: from `kubectl create` to results in S3, in any language.

The administrator's policy (`support.cluster_policy`) has pods find tools.ietf.org at a server of ours, trust the
authority that certified it, and use the images that are on the node.  So inputs are read by https at their own
addresses, and what the user submits stays as it is.
"""

from __future__ import annotations

import re

import pytest

from support.cluster_access import ClusterAccess
from support.cluster_documents import PAGES, SITE, Documents, text_of, words_of
from support.cluster_kubemr import Kubemr, jobs_of, until
from support.cluster_node import NodeProcesses
from support.cluster_pods import image_id
from support.cluster_policy import INDEX, patch, stand_in
from support.cluster_watch import Watch, phases
from support.jobs import SEED

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

THREE_INPUTS = SEED + "    - https://tools.ietf.org/rfc/rfc2425.txt\n"
"""The two inputs that background and examples show, and the third one of the first kubemr's README."""

NAME = "docker.io/turbobytes/kubemr-wordcount:latest"
"""What `turbobytes/kubemr-wordcount` means."""


@pytest.mark.parametrize(
    ("manifest", "kinds"),
    [
        pytest.param(SEED, ["wordcount"], id="python"),
        pytest.param(THREE_INPUTS, ["wordcount-go"], id="go"),
        pytest.param(THREE_INPUTS, ["wordcount", "wordcount-go"], id="both"),
    ],
)
def test_the_seed(
    cluster: ClusterAccess,
    cluster_node: NodeProcesses,
    kubemr: Kubemr,
    cluster_namespace: str,
    documents: Documents,
    wordcount_image: str,
    wordcount_go_image: str,
    manifest: str,
    kinds: list[str],
) -> None:
    """PENDING, DEPLOYING, DEPLOYED, COMPLETE, each once and in this order; and the words are counted as Unix does.

    Where there are two kinds of workers they take turns by index, and both have reduce tasks that count.
    """
    namespace = cluster_namespace
    images = {"wordcount": f"{wordcount_image}:latest", "wordcount-go": f"{wordcount_go_image}:latest"}
    ids = {image_id(cluster, namespace, images[kind]) for kind in kinds}
    cluster_node.name_image(images[kinds[0]], NAME)
    other = patch("replace", "/spec/containers/0/image", images[kinds[-1]])
    mixed = [f"(int(object.metadata.labels['{INDEX}']) % 2 == 1 ? [{other}] : [])"] if len(kinds) > 1 else []
    with (
        stand_in(cluster, namespace, SITE, documents.address, documents.ca, *mixed),
        Watch(cluster, f"/api/v1/namespaces/{namespace}/pods") as pods,
        Watch(cluster, jobs_of(namespace)) as jobs,
    ):
        documents.close_site()
        job = kubemr.submit(namespace, manifest)
        assert job.name.startswith("test-")
        until(lambda: job.workers() == 10, "all workers hold their Leases", 120)
        documents.open_site()
        job.wait()
        jobs.wait(lambda seen: "COMPLETE" in phases(seen, job.view.uid), "COMPLETE", 5)
        assert phases(jobs.changes, job.view.uid) == ["", "PENDING", "DEPLOYING", "DEPLOYED", "COMPLETE"]
        assert {
            each["imageID"] for change in pods.changes for each in statuses(change.object) if each["imageID"]
        } == ids
    results = job.results()
    pattern = rf"s3://{kubemr.bucket}/kubemr/{job.name}-[a-z0-9]+/0/reduce/(\d+)/\d+-w(\d+)-[a-z0-9]+/.+"
    found = [re.fullmatch(pattern, each) for each in results]
    assert [int(each[1]) for each in found if each] == list(range(32)), results
    assert {int(each[2]) % len(kinds) for each in found if each} == set(range(len(kinds)))
    inputs = list(PAGES)[: manifest.count("https://")]
    assert job.words() == words_of(*map(text_of, inputs))
    job.delete()


def statuses(pod: dict[str, dict[str, list[dict[str, str]]]]) -> list[dict[str, str]]:
    """Of the pod's containers, so far."""
    return pod["status"].get("containerStatuses") or []
