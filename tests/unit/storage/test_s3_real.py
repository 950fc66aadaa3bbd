"""What only a real S3 server shows."""

from __future__ import annotations

import gzip
import io
import os

import pytest
from attrs import evolve
from minio import Minio
from minio.datatypes import Part

from kubemr.storage import (
    AccessDeniedError,
    InvalidKeyError,
    NoSuchBucketError,
    ObjectChangedError,
    Retrier,
    S3Settings,
    S3Store,
    StorageError,
    fetch,
    open_store,
    store_from_environment,
)
from kubemr.storage.s3_requests import S3Requests
from kubemr.storage.s3_upload import _Completion

PART = 5 * 1024 * 1024


def unfinished(minio: Minio, bucket: str) -> list[str]:
    """The keys of unfinished uploads in a bucket."""
    return [item.object_name for item in minio._list_multipart_uploads(bucket).uploads]


def test_an_upload_is_no_object_until_it_is_complete(s3_store: S3Store, bucket: str, minio_client: Minio) -> None:
    """While it is under way there is an unfinished upload; after an exception not even that."""
    with pytest.raises(RuntimeError), s3_store.writer("k") as stream:  # noqa: PT012
        stream.write(b"x" * (PART + 1_000_000))
        assert unfinished(minio_client, bucket) == ["some/prefix/k"]
        raise RuntimeError
    assert unfinished(minio_client, bucket) == []


def test_deleting_a_prefix_aborts_its_uploads_only(s3_store: S3Store, bucket: str, minio_client: Minio) -> None:
    """Those of other folders go on and are completed; those below it fail."""
    other = s3_store.writer("job-10/k")
    stream = other.__enter__()
    stream.write(b"x" * (PART + 1_000_000))
    with pytest.raises(StorageError, match="NoSuchUpload"), s3_store.writer("job-1/a/k") as doomed:  # noqa: PT012
        doomed.write(b"x" * (PART + 1_000_000))
        assert s3_store.delete_prefix("job-1") == 0
        assert unfinished(minio_client, bucket) == ["some/prefix/job-10/k"]
    other.__exit__(None, None, None)
    assert [item.key for item in s3_store.list("")] == ["job-10/k"]


def test_a_completion_may_be_repeated(s3_store: S3Store, bucket: str) -> None:
    """The real server's answer to the second one, and its ETag, are what we take them for."""
    requests: S3Requests = s3_store._object("put", "k")
    upload = requests.create()
    parts = [Part(1, requests.put_part(upload, 1, b"x" * PART)), Part(2, requests.put_part(upload, 2, b"y"))]
    completion = _Completion(requests, upload, parts)
    completion()
    completion()
    assert s3_store.get("k") == b"x" * PART + b"y"
    assert not requests.is_complete("another")


def test_a_replaced_object_is_noticed(s3_store: S3Store) -> None:
    """The real server keeps to If-Match."""
    s3_store.put("k", b"a" * 1_000_000)
    requests = s3_store._object("get", "k")
    body = requests.get(0, None)
    body.close()
    s3_store.put("k", b"b" * 1_000_000)
    with pytest.raises(ObjectChangedError):
        requests.get(10, body.version)


def test_nothing_is_unpacked(s3_store: S3Store, bucket: str, minio_client: Minio) -> None:
    """An object that is stored with a Content-Encoding reads as it is stored."""
    packed = gzip.compress(b"text" * 10_000)
    minio_client.put_object(
        bucket, "some/prefix/k", io.BytesIO(packed), len(packed), metadata={"Content-Encoding": "gzip"}
    )
    assert s3_store.get("k") == packed
    with s3_store.reader("k", 2) as stream:
        assert stream.read(5) == packed[2:7]


def test_a_missing_bucket_is_named(s3_settings: S3Settings) -> None:
    """By every operation, and the remedy is to create it."""
    store = S3Store("no-such-bucket-here", settings=s3_settings)
    for operation in (
        store.check,
        lambda: store.get("k"),
        lambda: store.stat("k"),
        lambda: store.put("k", b""),
        lambda: list(store.list("")),
        lambda: store.delete_prefix("k"),
    ):
        with pytest.raises(NoSuchBucketError, match=r"s3://no-such-bucket-here at 127\.0\.0\.1.*create the bucket"):
            operation()


@pytest.mark.parametrize("wrong", [{"secret_key": "wrong-secret"}, {"access_key": "nobody"}])
def test_wrong_keys_are_told(bucket: str, s3_settings: S3Settings, wrong: dict[str, str]) -> None:
    """At once, without a retry, and the secret is in no message."""
    settings = evolve(s3_settings, **wrong)
    store = S3Store(bucket, settings=settings)
    for operation in (store.check, lambda: store.get("k"), lambda: store.stat("k"), lambda: list(store.list(""))):
        with pytest.raises(AccessDeniedError, match="check the access keys") as raised:
            operation()
        assert settings.secret_key not in str(raised.value)
    assert settings.secret_key not in repr(settings)


def test_check_leaves_nothing(s3_store: S3Store, bucket: str, minio_client: Minio) -> None:
    """It writes an object and removes it."""
    s3_store.check()
    assert list(minio_client.list_objects(bucket, recursive=True)) == []


def test_a_key_below_an_object_is_an_object_or_an_error(s3_store: S3Store) -> None:
    """S3 allows it, some servers do not: then the key is at fault."""
    s3_store.put("a", b"x")
    try:
        s3_store.put("a/b", b"y")
    except InvalidKeyError:
        return
    assert s3_store.get("a/b") == b"y"
    assert s3_store.get("a") == b"x"


def test_a_worker_finds_its_store(bucket: str, s3_environment: dict[str, str]) -> None:
    """The environment's prefix is part of the address; an address opens from another machine by itself."""
    environ = s3_environment | {"KUBEMR_S3_BUCKET_NAME": bucket, "KUBEMR_S3_BUCKET_PREFIX": "kubemr"}
    store = store_from_environment(environ)
    store.put("job/0.txt", b"words")
    assert store.url("job/0.txt") == f"s3://{bucket}/kubemr/job/0.txt"
    assert open_store(f"s3://{bucket}/kubemr/job", environ).get("0.txt") == b"words"
    assert fetch(store.url("job/0.txt"), s3_environment) == b"words"


def test_a_store_works_on_both_sides_of_a_fork(s3_store: S3Store) -> None:
    """The child does not use the parent's connections."""
    s3_store.put("k", b"parent")
    child = os.fork()
    if child == 0:
        try:
            s3_store.put("k2", s3_store.get("k") + b" and child")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert s3_store.get("k2") == b"parent and child"
    assert s3_store.get("k") == b"parent"


def test_no_retries_means_one_attempt(bucket: str) -> None:
    """A caller may bring its own bounds."""
    store = S3Store(bucket, settings=S3Settings("http://127.0.0.1:9", access_key="a", secret_key="b" * 8))
    once = S3Store(bucket, settings=store._settings, retrier=Retrier(attempts=1))
    with pytest.raises(StorageError, match=r"gave up after 1 attempt in 0\.\d s"):
        once.check()
