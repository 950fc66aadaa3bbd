"""A process that is killed while it writes leaves no object, and nothing that `delete_prefix` does not remove."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from minio import Minio

from kubemr.storage import DirectoryStore, ObjectInfo, ObjectStore, open_store

PART = 5 * 1024 * 1024

WRITER = """
import sys
from kubemr.storage import open_store
with open_store(sys.argv[1]).writer("job/0/k") as stream:
    for _ in range(20):
        stream.write(b"x" * 1024 * 1024)
    stream.flush()
    print("written", flush=True)
    sys.stdin.read()
"""


def kill_a_writer(url: str, environ: dict[str, str]) -> None:
    """Start a process that writes 20 MiB to `job/0/k` and kill it before it ends the object."""
    environ = {**os.environ, **environ}
    command = [sys.executable, "-c", WRITER, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL


def nothing_is_visible(store: ObjectStore) -> None:
    """The object that was there before is the only one."""
    assert list(store.list("")) == [ObjectInfo("job/1/kept", 4)]
    assert store.stat("job/0/k") is None


def test_a_killed_writer_leaves_no_object_in_a_directory(directory_store: DirectoryStore) -> None:
    """Its file exists under a name that is no key, until the prefix is deleted."""
    directory_store.put("job/1/kept", b"kept")
    kill_a_writer(directory_store.url("job").removesuffix("/job"), {})
    nothing_is_visible(directory_store)
    left = [path for path in Path(directory_store.root).rglob("*") if path.is_file()]
    assert len(left) == 2
    directory_store.put("job/0/k", b"again")
    assert directory_store.get("job/0/k") == b"again"
    assert directory_store.delete_prefix("job") == 2
    assert list(Path(directory_store.root).iterdir()) == []


def test_a_killed_writer_leaves_no_object_in_s3(
    bucket: str, s3_environment: dict[str, str], minio_client: Minio
) -> None:
    """Its parts exist as an unfinished upload, until the prefix is deleted."""
    url = f"s3://{bucket}/prefix"
    store = open_store(url, s3_environment)
    store.put("job/1/kept", b"kept")
    kill_a_writer(url, s3_environment)
    nothing_is_visible(store)
    assert [item.object_name for item in minio_client._list_multipart_uploads(bucket).uploads] == ["prefix/job/0/k"]
    assert store.delete_prefix("job") == 1
    assert minio_client._list_multipart_uploads(bucket).uploads == []
    assert list(minio_client.list_objects(bucket, recursive=True)) == []


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.03])
def test_killed_at_any_moment_it_is_all_or_nothing(tmp_path: Path, seconds: float) -> None:
    """A process that replaces an object over and over is killed somewhere: what is there is one whole version."""
    script = """
import sys
from kubemr.storage import DirectoryStore
store = DirectoryStore(sys.argv[1])
print("begun", flush=True)
while True:
    for letter in (b"a", b"b"):
        store.put("folder/k", letter * 300_000)
"""
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
    store = DirectoryStore(tmp_path)
    for item in store.list(""):
        assert item == ObjectInfo("folder/k", 300_000)
        assert store.get("folder/k") in (b"a" * 300_000, b"b" * 300_000)
