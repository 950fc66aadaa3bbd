"""`kubemr logs` for a job in a cluster: how the job, its store and the keys are found, and what the errors say."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from minio import Minio

from kubemr.cli import find_job, main
from kubemr.coordination import names
from kubemr.coordination.attempt_records import AttemptLog
from kubemr.coordination.job_view import JobView
from kubemr.coordination.kinds import CONFIG_MAPS, SECRETS
from kubemr.local.apiserver.http import HttpServer
from kubemr.locks.effects import Json
from kubemr.storage import DirectoryStore, ObjectStore, open_store
from support.bench import Bench
from support.minioserver import MinioServer

LOG = AttemptLog("map/0/x", b"hello\n", "10:00", "10:01", "done").encode()


class Cluster:
    """An apiserver, a kubeconfig that names it, and the command line."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.server: HttpServer | None = None
        self.url = ""
        self.kubeconfig = folder / "kubeconfig"
        self.environ: dict[str, str | None] = {"KUBECONFIG": str(self.kubeconfig), "KUBEMR_APISERVER": None}

    def start(self) -> None:
        """Serve the bench over HTTP from here on."""
        self.server = HttpServer(self.bench.server, "t")
        self.server.start()
        self.url = self.server.url
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [
                {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "default"}},
                {"name": "elsewhere", "context": {"cluster": "c", "user": "u", "namespace": "kubemr"}},
                {"name": "plain", "context": {"cluster": "c", "user": "u"}},
            ],
            "current-context": "here",
        }
        self.kubeconfig.write_text(json.dumps(document))

    def kubemr(self, *arguments: str) -> Result:
        """Run a command."""
        return CliRunner(env=self.environ).invoke(main, arguments)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Yield a cluster; jobs can be created in its bench until it is started."""
    cluster = Cluster(Bench(), tmp_path)
    yield cluster
    if cluster.server is not None:
        cluster.server.stop()


def logged(store: ObjectStore, job: JobView) -> None:
    """Store one log of the job."""
    store.put(names.attempt_prefix(job.storage_prefix, 0, "map", 0, "1-w0-aaaaaa") + "log.txt", LOG)


@pytest.fixture
def s3(minio_server: MinioServer) -> ObjectStore:
    """Return a store in a bucket."""
    host = minio_server.endpoint.removeprefix("http://")
    minio = Minio(host, access_key=minio_server.access_key, secret_key=minio_server.secret_key, secure=False)
    if not minio.bucket_exists("attempts"):
        minio.make_bucket("attempts")
    return open_store("s3://attempts/below", variables(minio_server))


def variables(server: MinioServer) -> dict[str, str]:
    """Return the variables for the service and its keys."""
    return {
        "KUBEMR_S3_ENDPOINT": server.endpoint,
        "KUBEMR_S3_ACCESS_KEY_ID": server.access_key,
        "KUBEMR_S3_SECRET_ACCESS_KEY": server.secret_key,
    }


def in_s3(endpoint: str, **more: Json) -> Json:
    """Return the `storage` of a job."""
    return {"s3": {"endpoint": endpoint, "bucket": "attempts", "prefix": "below", **more}}


def test_the_store_that_the_job_names_with_the_keys_of_its_secret(
    cluster: Cluster, s3: ObjectStore, minio_server: MinioServer
) -> None:
    """Only the kubeconfig must be set."""
    data = {"accessKeyId": minio_server.access_key, "secretAccessKey": minio_server.secret_key}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    cluster.bench.create(SECRETS, {"metadata": {"name": "mine"}, "data": encoded})
    logged(s3, cluster.bench.submit(storage=in_s3(minio_server.endpoint, secretRef={"name": "mine"})))
    cluster.start()
    result = cluster.kubemr("logs", "words", "map/0/1-w0-aaaaaa")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "hello\n", "")


def test_ones_own_keys_and_an_address_that_is_reached_from_here(
    cluster: Cluster, s3: ObjectStore, minio_server: MinioServer
) -> None:
    """The caller cannot read the Secret, and the service is inside the cluster, behind a forwarded port."""
    inside = "http://minio.kubemr.svc:9000"
    logged(s3, cluster.bench.submit(storage=in_s3(inside, secretRef={"name": "not-there"})))
    cluster.environ |= {name: value for name, value in variables(minio_server).items() if "KEY" in name}
    cluster.start()
    result = cluster.kubemr("attempts", "words", "--endpoint", minio_server.endpoint)
    assert result.exit_code == 0, result.stderr
    assert "map/0/1-w0-aaaaaa  done" in result.stdout


def test_a_store_that_is_not_reached_from_here(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error soon names the remedy."""
    monkeypatch.setattr(find_job, "RETRY_SECONDS", 0.1)
    cluster.bench.submit(storage=in_s3("http://127.0.0.1:9"))
    cluster.environ |= {"KUBEMR_S3_ACCESS_KEY_ID": "a", "KUBEMR_S3_SECRET_ACCESS_KEY": "b"}
    cluster.start()
    result = cluster.kubemr("logs", "words")
    assert result.exit_code == 3
    assert "127.0.0.1:9" in result.stderr
    assert "kubectl port-forward" in result.stderr
    assert "--endpoint" in result.stderr


def test_a_secret_that_is_not_there(cluster: Cluster) -> None:
    """The error names the Secret and the remedy."""
    cluster.bench.submit(storage=in_s3("http://127.0.0.1:9", secretRef={"name": "gone"}))
    cluster.start()
    result = cluster.kubemr("logs", "words")
    assert result.exit_code == 3
    assert "the Secret 'gone' in namespace 'default' does not exist" in result.stderr
    assert "or set KUBEMR_S3_ACCESS_KEY_ID and KUBEMR_S3_SECRET_ACCESS_KEY to your own keys" in result.stderr


def test_the_operators_store_by_the_jobs_config_map(cluster: Cluster, tmp_path: Path) -> None:
    """The ConfigMap exists while the job runs."""
    job = cluster.bench.submit()
    config_map = {
        "metadata": {"name": names.config_map(job.base)},
        "data": {"KUBEMR_STORAGE_URL": (tmp_path / "store").as_uri(), "KUBEMR_RUN": "1"},
    }
    cluster.bench.create(CONFIG_MAPS, config_map)
    logged(DirectoryStore(tmp_path / "store"), job)
    cluster.start()
    assert "hello\n" in cluster.kubemr("logs", "words").stdout


def test_the_operators_store_by_the_environment(cluster: Cluster, tmp_path: Path) -> None:
    """Without the ConfigMap the store must be named, and the error says so."""
    job = cluster.bench.submit()
    logged(DirectoryStore(tmp_path / "store"), job)
    cluster.start()
    result = cluster.kubemr("logs", "words")
    assert result.exit_code == 2
    assert "the job names no store, and the operator's default store is unknown here" in result.stderr
    cluster.environ["KUBEMR_STORAGE_URL"] = (tmp_path / "store").as_uri()
    assert "hello\n" in cluster.kubemr("logs", "words").stdout


@pytest.mark.parametrize("field", ["results", "resultsManifest", "error"])
def test_the_operators_store_by_an_address_in_the_status(
    cluster: Cluster, s3: ObjectStore, minio_server: MinioServer, field: str
) -> None:
    """A finished job has no ConfigMap, but the addresses of results name its store; the environment says how to reach
    it.
    """
    job = cluster.bench.submit()
    logged(s3, job)
    address = s3.url(f"{job.storage_prefix}run-1/results.json")
    text = f"map/0 failed once: no\nlog: {address}" if field == "error" else address
    cluster.bench.set(job.status, "/status", {field: [text] if field == "results" else text})
    cluster.environ |= variables(minio_server)
    cluster.start()
    result = cluster.kubemr("logs", "words")
    assert "hello\n" in result.stdout, result.stderr


def test_a_service_without_a_bucket_is_not_enough(cluster: Cluster) -> None:
    """The error says what is missing."""
    cluster.bench.submit()
    cluster.environ |= {"KUBEMR_S3_ENDPOINT": "http://127.0.0.1:9"}
    cluster.start()
    result = cluster.kubemr("logs", "words")
    assert result.exit_code == 2
    assert "the job names no store, and the operator's default store is unknown here" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "namespace"),
    [
        ((), "default"),
        (("-n", "kubemr"), "kubemr"),
        (("--context", "elsewhere"), "kubemr"),
        (("--context", "plain"), "default"),
        (("--context", "elsewhere", "-n", "default"), "default"),
    ],
)
def test_the_namespace(cluster: Cluster, arguments: tuple[str, ...], namespace: str) -> None:
    """It is that of the option, else of the context, else default; the error about a missing job names it."""
    cluster.start()
    result = cluster.kubemr("attempts", "gone", *arguments)
    assert result.exit_code == 2
    assert f"no MapReduceJob 'gone' in namespace '{namespace}' of {cluster.url}" in result.stderr


def test_an_apiserver_by_the_environment(cluster: Cluster) -> None:
    """The variables are those of operator and workers."""
    cluster.start()
    cluster.environ = {"KUBEMR_APISERVER": cluster.url, "KUBEMR_APISERVER_TOKEN": "t", "KUBECONFIG": None}
    result = cluster.kubemr("attempts", "gone")
    assert f"in namespace 'default' of {cluster.url}" in result.stderr


def test_one_that_does_not_answer_or_refuses(cluster: Cluster) -> None:
    """The exit code is 3, and the error names the address."""
    cluster.environ = {"KUBEMR_APISERVER": "http://127.0.0.1:9", "KUBECONFIG": None}
    result = cluster.kubemr("attempts", "words")
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: http://127.0.0.1:9: ")
    cluster.start()
    cluster.environ = {"KUBEMR_APISERVER": cluster.url, "KUBEMR_APISERVER_TOKEN": "wrong", "KUBECONFIG": None}
    assert cluster.kubemr("attempts", "words").exit_code == 3


def test_no_cluster_at_all(cluster: Cluster, tmp_path: Path) -> None:
    """The error names the remedy."""
    cluster.environ["KUBECONFIG"] = str(tmp_path / "nowhere")
    result = cluster.kubemr("attempts", "words")
    assert result.exit_code == 2
    assert "set KUBECONFIG, or give the store of the job (--store)" in result.stderr
