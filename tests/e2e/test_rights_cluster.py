"""`make deploy` on a whole cluster: operators come up, a job runs with its own account, `make undeploy` ends it all."""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
from collections.abc import Iterator

import minio
import pytest

from kubemr.coordination import names
from support.cluster_access import ClusterAccess, S3Access
from support.workerharness import ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


def manage(cluster: ClusterAccess, command: str, **environ: str) -> str:
    """`manifests/manage`, as `make` calls it."""
    environ = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "KUBECTL": str(cluster.kubectl_program), **environ}
    program = [str(ROOT / "manifests" / "manage"), command]
    done = subprocess.run(program, check=False, env=environ, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def bucket(cluster_s3: S3Access) -> str:
    """A bucket with an input in it."""
    name = f"rights-{secrets.token_hex(4)}"
    store = _client(cluster_s3)
    store.make_bucket(name)
    store.put_object(name, "input", io.BytesIO(b"one fish two fish"), 17)
    return name


def _client(s3: S3Access) -> minio.Minio:
    host = s3.outside_endpoint.partition("://")[2]
    return minio.Minio(
        host, s3.access_key, s3.secret_key, region=s3.region, secure=s3.outside_endpoint.startswith("https")
    )


@pytest.fixture
def installed(cluster: ClusterAccess, cluster_s3: S3Access, bucket: str, operator_image: str) -> Iterator[None]:
    """Operators with a store of their own, which is lent to jobs."""
    if cluster.kubectl("get", "crd", "mapreducejobs.turbobytes.com", "--ignore-not-found", "-o", "name"):
        pytest.skip("kubemr is installed on this cluster already")
    namespace = (ROOT / "manifests" / "base" / "namespace.yaml").read_text()
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=namespace)
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "kubemr-storage", "namespace": "kubemr"},
            "stringData": {
                "KUBEMR_S3_ENDPOINT": cluster_s3.endpoint,
                "KUBEMR_S3_REGION": cluster_s3.region,
                "KUBEMR_S3_BUCKET_NAME": bucket,
                "KUBEMR_S3_ACCESS_KEY_ID": cluster_s3.access_key,
                "KUBEMR_S3_SECRET_ACCESS_KEY": cluster_s3.secret_key,
                "KUBEMR_LEND_STORAGE_KEYS": "true",
            },
        }
    )
    try:
        manage(cluster, "deploy", OPERATOR_IMAGE=f"{operator_image}:latest")
        yield
    finally:
        manage(cluster, "undeploy", PURGE="1")


def test_deploy_run_and_undeploy(
    cluster: ClusterAccess,
    cluster_s3: S3Access,
    cluster_namespace: str,
    bucket: str,
    installed: None,
    wordcount_image: str,
) -> None:
    """With the real accounts and the policies on; each operator answers to its probes."""
    pods = cluster.get("pods", "-n", "kubemr", "-l", "app.kubernetes.io/component=operator")["items"]
    assert (
        sum(
            each["type"] == "Ready" and each["status"] == "True" for pod in pods for each in pod["status"]["conditions"]
        )
        == 2
    )
    job = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "words", "namespace": cluster_namespace},
        "spec": {
            "image": wordcount_image,
            "template": {"spec": {"containers": [{"name": "worker", "imagePullPolicy": "IfNotPresent"}]}},
            "replicas": 2,
            "partitions": 2,
            "inputs": [_client(cluster_s3).presigned_get_object(bucket, "input")],
        },
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(job))
    cluster.kubectl("wait", "-n", cluster_namespace, "--for=condition=Complete", "mrj/words", "--timeout=120s")
    account = cluster.get("serviceaccounts", "-n", cluster_namespace)["items"]
    assert all(
        each["metadata"]["name"] == "default" or each["metadata"]["name"].endswith("-worker") for each in account
    )
    cluster.kubectl("delete", "-n", cluster_namespace, "mrj/words", "--timeout=60s")
    left = [item.object_name for item in _client(cluster_s3).list_objects(bucket, recursive=True)]
    assert left == ["input"]
