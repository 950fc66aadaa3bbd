"""Jobs from beginning to end: exact results, and every request as the protocol has it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from kubemr.controller.inputs.splitting import SplitSettings
from support import protocolworkers
from support.minioserver import MinioServer
from support.protocolproxy import Fate, Recorded
from support.protocolstage import Stage, word_counts

pytestmark = pytest.mark.long

TEXTS = {
    f"t{number:02d}": b"the quick\xa0 brown f\xc3\xb6x \xff %d\n" % (number % 7) * (number + 1) for number in range(40)
}


def test_two_workers(stage: Stage, command: list[str]) -> None:
    """Two workers, two shards: the results are exact, the labels all say done in the end, and the Leases are free."""
    stage.deploy(TEXTS, partitions=5)
    for index in range(2):
        stage.start(command, index)
    stage.finish()
    assert stage.results() == word_counts(TEXTS, 5)
    assert stage.hints() == {"done"}
    assert set(stage.judge.leases.values()) == {None}
    status = stage.document()["status"]
    assert status["progress"] == "5/5" or status["progress"] == "45/45"
    assert [each["done"] for each in status["stages"]] == [40, 5]
    complete = [each for each in status["conditions"] if each["type"] == "Complete"]
    assert [each["status"] for each in complete] == ["True"]
    assert len(status["conditions"]) == 2


def test_inputs_in_chunks(stage: Stage, command: list[str]) -> None:
    """Inputs that the spec does not list are read from the plan's chunks, of whatever size the status says."""
    stage.deploy(TEXTS, partitions=5, tasks_per_chunk=7)
    stage.start(command)
    stage.finish()
    assert stage.results() == word_counts(TEXTS, 5)
    assert {name: stage.inputs.asked[name] for name in TEXTS} == dict.fromkeys(TEXTS, 1)


def test_splits(stage: Stage, command: list[str]) -> None:
    """Files that were cut are read by range, each line by the task in which it begins; packed ones are unpacked."""
    lines = [b"the quick\xa0 brown f\xc3\xb6x \xff %d\r\n" % (number % 7) for number in range(50)]
    texts = {"large": b"".join(lines), "long": b"x" * 500 + b" y\nz", "small": b"the end", "empty": b""}
    contents = {**texts, "packed.gz": gzip.compress(b"a b\n") + gzip.compress(b"b c")}
    stage.deploy(contents, partitions=5, splits=SplitSettings(100, 3))
    for index in range(2):
        stage.start(command, index)
    stage.finish()
    assert len(stage.tasks(0)) > 15
    assert stage.results() == word_counts({**texts, "packed": b"a b\nb c"}, 5)


@pytest.mark.parametrize("order", [("python", "go"), ("go", "python")])
def test_workers_of_both_kinds_serve_one_job(stage: Stage, order: tuple[str, str]) -> None:
    """One maps what the other reduces: what they leave in the store is the same."""
    if (own := protocolworkers.kinds()[0]) != "python":
        order = (own, "python") if order[0] == "go" else ("python", own)
    mapper, reducer = map(protocolworkers.command, order)
    stage.deploy({"a": b"x y", "b": b"y z"}, partitions=5)
    stage.inputs.hold("b")
    stage.start(mapper, 0)
    stage.until(lambda: stage.inputs.asked["b"], "the last map task runs")
    second = stage.start(reducer, 1)
    stage.until(lambda: stage.requests(second, "leases", "PATCH"), "the second has its Lease")
    stage.inputs.let_go()
    stage.finish()
    assert stage.results() == word_counts({"a": b"x y", "b": b"y z"}, 5)


def test_words_in_one_partition_only(stage: Stage, command: list[str]) -> None:
    """Empty inputs and partitions without words commit as empty, and give no result."""
    stage.deploy({"a": b"", "b": b"x", "c": b" \n"}, partitions=9)
    stage.start(command)
    stage.finish()
    assert stage.results() == word_counts({"b": b"x"}, 9)
    assert [state.split("/")[0] for state in stage.tasks(0).values()] == ["empty", "done", "empty"]
    assert sum(state.startswith("empty") for state in stage.tasks(1).values()) == 8
    assert not list(stage.store.list(f"{stage.job.storage_prefix}0/map/0/"))


SPOILED = [Fate.LOSE, Fate.ERROR, Fate.RESET, Fate.UNAVAILABLE, Fate.LATE]


@pytest.mark.parametrize("fate", SPOILED, ids=lambda fate: fate.name.lower())
def test_spoiled_answers(stage: Stage, command: list[str], fate: Fate) -> None:
    """The first try of every patch goes wrong, landed or not: each task is committed once, the results are exact."""
    seen: set[bytes] = set()

    def rule(record: Recorded) -> Fate:
        if record.method == "GET" or record.raw in seen:
            return Fate.PASS
        seen.add(record.raw)
        return fate

    texts = {name: TEXTS[name] for name in list(TEXTS)[:6]}
    stage.deploy(texts, partitions=2)
    stage.proxy.rule = rule
    for index in range(2):
        stage.start(command, index)
    stage.finish()
    assert stage.results() == word_counts(texts, 2)


def test_reads_that_fail(stage: Stage, command: list[str]) -> None:
    """Every second read is answered with 503 or not at all: that delays, and no more."""
    count = 0

    def rule(record: Recorded) -> Fate:
        nonlocal count
        if record.method != "GET":
            return Fate.PASS
        count += 1
        return (Fate.UNAVAILABLE, Fate.PASS, Fate.RESET, Fate.PASS)[count % 4]

    stage.deploy({"a": b"x y", "b": b"y z"}, partitions=2)
    stage.proxy.rule = rule
    stage.start(command)
    stage.finish()
    assert stage.results() == word_counts({"a": b"x y", "b": b"y z"}, 2)


def test_objects_in_s3(tmp_path: Path, minio_server: MinioServer, command: list[str]) -> None:
    """The same on an S3 server, with a prefix of the bucket."""
    from minio import Minio

    keys = (minio_server.access_key, minio_server.secret_key)
    client = Minio(minio_server.endpoint.removeprefix("http://"), *keys, secure=False, region=minio_server.region)
    bucket = "protocol-" + tmp_path.parent.name.replace("_", "-")[-20:].strip("-") + tmp_path.name[-1]
    if not client.bucket_exists(bucket):
        client.make_bucket(bucket)
    storage = {
        "KUBEMR_S3_ENDPOINT": minio_server.endpoint,
        "KUBEMR_S3_REGION": minio_server.region,
        "KUBEMR_S3_BUCKET_NAME": bucket,
        "KUBEMR_S3_BUCKET_PREFIX": "/some/prefix/",
        "KUBEMR_S3_ACCESS_KEY_ID": keys[0],
        "KUBEMR_S3_SECRET_ACCESS_KEY": keys[1],
    }
    stage = Stage(tmp_path, storage)
    try:
        stage.deploy({"a": b"x y", "b": b"y z"}, partitions=2)
        stage.start(command)
        stage.finish()
        assert stage.results() == word_counts({"a": b"x y", "b": b"y z"}, 2)
        assert stage.document()["status"]["results"][0].startswith(f"s3://{bucket}/some/prefix/the-job-")
    finally:
        stage.close()
