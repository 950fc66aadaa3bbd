"""`kubemr run` with `inputsFrom`: files and objects are found, and each is one map task's input."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest
from minio import Minio

from kubemr.storage import open_store
from support.localrun import Marked, contents
from support.minioserver import MinioServer

pytestmark = pytest.mark.long

PROGRAM = """
class Worker(kubemr.JobWorker):
    def map(self, input):
        return {0: input + "=" + self.fetch(input).decode()}

    def reduce(self, inputs):
        return self.store("out.txt", "\\n".join(inputs).encode())

if __name__ == "__main__":
    kubemr.serve(Worker())
"""


@pytest.fixture
def marked(tmp_path: Path) -> Marked:
    return Marked(tmp_path)


def test_files_in_folders(marked: Marked) -> None:
    """Each is read by the address that its task is given; what was written about them goes with the end."""
    files = marked.directory / "in put"
    for number in range(40):
        path = files / f"{number % 3}" / f"é {number:02d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    manifest = marked.manifest(inputsFrom=[{"glob": f"{files.as_uri()}/**/*.txt"}], partitions=1)
    code, out, err = marked.run(manifest, "--", sys.executable, marked.program(PROGRAM))
    assert code == 0, err
    (text,) = contents(out.split())
    paths = sorted(files.rglob("*.txt"))
    assert text.decode().split("\n") == [f"{path.as_uri()}={path.read_text()}" for path in paths]
    assert not list(marked.store.rglob("inputs")), "the plan is intermediate"


def test_objects_in_s3(marked: Marked, minio_server: MinioServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the service and keys of the user's environment, though the results go to a directory."""
    monkeypatch.setenv("KUBEMR_S3_ENDPOINT", minio_server.endpoint)
    monkeypatch.setenv("KUBEMR_S3_REGION", minio_server.region)
    monkeypatch.setenv("KUBEMR_S3_ACCESS_KEY_ID", minio_server.access_key)
    monkeypatch.setenv("KUBEMR_S3_SECRET_ACCESS_KEY", minio_server.secret_key)
    keys = (minio_server.access_key, minio_server.secret_key)
    Minio(minio_server.endpoint.removeprefix("http://"), *keys, secure=False).make_bucket("local-inputs")
    store = open_store("s3://local-inputs")
    store.put("a/1", b"x")
    store.put("a/2", b"y")
    store.put("list", b"s3://local-inputs/a/2\n")
    sources = [{"prefix": "s3://local-inputs/a/"}, {"manifest": "s3://local-inputs/list"}]
    manifest = marked.manifest(inputsFrom=sources, partitions=1)
    code, out, err = marked.run(manifest, "--", sys.executable, marked.program(PROGRAM))
    assert code == 0, err
    (text,) = contents(out.split())
    assert text == b"s3://local-inputs/a/1=x\ns3://local-inputs/a/2=y\ns3://local-inputs/a/2=y"


def test_nothing_found(marked: Marked) -> None:
    """The job fails, and says which field, what it holds and what to do."""
    manifest = marked.manifest(inputsFrom=[{"prefix": (marked.directory / "no-such").as_uri()}])
    code, _, err = marked.run(manifest, "--", sys.executable, marked.program(PROGRAM))
    assert code == 1
    assert 'spec.inputsFrom[0].prefix: "file:///' in err
    assert "matches no file; remedy: correct it" in err


def test_a_file_that_disappears(marked: Marked) -> None:
    """Its task fails like any other whose input cannot be read."""
    listed = marked.directory / "list"
    listed.write_text(f"{(marked.directory / 'gone').as_uri()}\n")
    manifest = marked.manifest(inputsFrom=[{"manifest": listed.as_uri()}], maxAttempts=1)
    code, _, err = marked.run(manifest, "--", sys.executable, marked.program(PROGRAM))
    assert code == 1
    assert "map/0 failed once: " in err
    assert "there is no such file" in err


RECORDS = """
class Worker(kubemr.JobWorker):
    def map(self, input):
        return {0: "".join(f"{len(record)} " for record in self.records(input))}

    def reduce(self, inputs):
        return self.store("out.txt", "".join(inputs).encode())

if __name__ == "__main__":
    kubemr.serve(Worker())
"""


def test_files_are_cut_and_packed(marked: Marked) -> None:
    """Every record of every file is read once, by however many tasks."""
    files = marked.directory / "files"
    files.mkdir()
    (files / "large.txt").write_text("".join(f"{'x' * number}\r\n" for number in range(300)))
    for number in range(300, 340):
        (files / f"small-{number}").write_text("x" * number)
    (files / "packed.gz").write_bytes(gzip.compress(b"x" * 340 + b"\n" + b"x" * 341))
    spec = {"inputsFrom": [{"prefix": f"{files.as_uri()}/"}], "split": {"size": "2Ki", "maxFiles": 5}, "partitions": 1}
    code, out, err = marked.run("-o", "json", marked.manifest(**spec), "--", sys.executable, marked.program(RECORDS))
    assert code == 0, err
    status = json.loads(out)["status"]
    (text,) = contents(status["results"])
    assert sorted(map(int, text.split())) == list(range(342))
    assert status["inputs"]["files"] == 42
    assert status["stages"][0]["total"] == 23 + 9
