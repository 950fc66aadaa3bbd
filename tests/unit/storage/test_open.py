"""From an address or a worker's environment to a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubemr.storage import (
    DirectoryStore,
    HttpStore,
    InvalidKeyError,
    NoSuchKeyError,
    ObjectStore,
    S3Settings,
    S3Store,
    fetch,
    open_input,
    open_store,
    store_from_environment,
)
from support.webservers import FileServer

S3 = {"KUBEMR_S3_BUCKET_NAME": "bucket", "KUBEMR_S3_ENDPOINT": "http://minio:9000"}
KEYS = {"KUBEMR_S3_ACCESS_KEY_ID": "key", "KUBEMR_S3_SECRET_ACCESS_KEY": "secret"}


def test_every_written_object_is_found_by_its_address(
    store: ObjectStore, s3_environment: dict[str, str], tmp_path: Path
) -> None:
    """`url` and `fetch` are inverse, whatever letters are in the key."""
    for key in ("a/b.txt", "with space/ü%20?x#y"):
        store.put(key, key.encode())
        assert fetch(store.url(key), s3_environment) == key.encode()
        with open_input(store.url(key), s3_environment) as stream:
            assert stream.read(3) == key.encode()[:3]


def test_inputs_are_web_pages_files_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All forms that an input may have; what is not there raises `NoSuchKeyError` with its name."""
    (tmp_path / "a b").write_text("text")
    monkeypatch.chdir(tmp_path)
    with FileServer(tmp_path) as server:
        for address in (
            f"{server.url}/a%20b",
            f"{server.url}/a b",
            f"file://{tmp_path}/a%20b",
            str(tmp_path / "a b"),
            "a b",
        ):
            assert fetch(address) == b"text"
        for address in (f"{server.url}/absent", f"file://{tmp_path}/absent", "absent", "a b/below", "."):
            with pytest.raises(NoSuchKeyError, match=r"absent|below|'\.'"):
                open_input(address)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("gs://bucket/key", "unknown scheme 'gs'"),
        ("", "address is empty"),
        ("file://host/path", "names a host"),
        ("file://", "no path"),
        ("s3://", "has no bucket"),
        ("s3:///key", "has no bucket"),
    ],
)
def test_what_is_no_address_is_refused(address: str, said: str) -> None:
    """With the address forms that there are."""
    for opening in (open_input, open_store):
        with pytest.raises(ValueError, match=said):
            opening(address, KEYS)


def test_an_s3_address_without_a_key_is_no_input() -> None:
    """It names a bucket."""
    with pytest.raises(InvalidKeyError, match="it is empty"):
        fetch("s3://bucket", S3 | KEYS)


def test_addresses_open_stores(tmp_path: Path) -> None:
    """One kind for each scheme."""
    environ = S3 | KEYS
    assert isinstance(open_store(f"file://{tmp_path}", environ), DirectoryStore)
    assert isinstance(open_store(str(tmp_path), environ), DirectoryStore)
    assert isinstance(open_store("https://host/folder", environ), HttpStore)
    assert open_store("https://host/folder", environ).url("a b") == "https://host/folder/a%20b"
    assert isinstance(open_store("s3://bucket/prefix", environ), S3Store)
    assert open_store("s3://bucket/a/b/", environ).url("k") == "s3://bucket/a/b/k"


def test_a_worker_of_local_mode_gets_a_directory(tmp_path: Path) -> None:
    """KUBEMR_STORAGE_URL comes before the S3 variables."""
    store = store_from_environment({"KUBEMR_STORAGE_URL": f"file://{tmp_path}/a%20b", **S3})
    assert isinstance(store, DirectoryStore)
    assert store.root == f"{tmp_path}/a b"


def test_a_worker_of_a_cluster_gets_s3() -> None:
    """With the prefix of the bucket as part of every address."""
    store = store_from_environment({**S3, **KEYS, "KUBEMR_S3_BUCKET_PREFIX": "kubemr"})
    assert isinstance(store, S3Store)
    assert store.url("test-z0dk5/reduce/0.txt") == "s3://bucket/kubemr/test-z0dk5/reduce/0.txt"
    bare = store_from_environment({**S3, **KEYS, "KUBEMR_S3_BUCKET_PREFIX": ""})
    assert bare.url("k") == "s3://bucket/k"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "set KUBEMR_S3_BUCKET_NAME"),
        ({"KUBEMR_STORAGE_URL": "gs://x"}, "KUBEMR_STORAGE_URL: 'gs://x'"),
        ({**S3, "KUBEMR_S3_ACCESS_KEY_ID": "key"}, "KUBEMR_S3_SECRET_ACCESS_KEY is not set"),
        ({**S3, "KUBEMR_S3_SECRET_ACCESS_KEY": "key"}, "KUBEMR_S3_ACCESS_KEY_ID is not set"),
        (
            {**S3, **KEYS, "KUBEMR_S3_ENDPOINT": "http://minio:9000/path"},
            "KUBEMR_S3_ENDPOINT: 'http://minio:9000/path'",
        ),
        ({**S3, **KEYS, "KUBEMR_S3_ENDPOINT": "ftp://minio"}, "KUBEMR_S3_ENDPOINT: 'ftp://minio'"),
        ({**S3, **KEYS, "KUBEMR_S3_BUCKET_NAME": "a"}, "invalid bucket name"),
    ],
)
def test_wrong_settings_name_their_variable(environ: dict[str, str], said: str) -> None:
    """A worker ends with exit status 2 and this message."""
    with pytest.raises(ValueError, match=said):
        store_from_environment(environ)


@pytest.mark.parametrize(
    ("endpoint", "host", "secure", "amazon"),
    [
        ("", "s3.eu-west-1.amazonaws.com", True, True),
        ("minio:9000", "minio:9000", True, False),
        ("http://minio:9000/", "minio:9000", False, False),
        ("https://s3.amazonaws.com", "s3.amazonaws.com", True, True),
    ],
)
def test_endpoints_may_be_short(endpoint: str, host: str, secure: bool, amazon: bool) -> None:
    """Without a scheme it is https, without anything Amazon's for the region."""
    settings = S3Settings(endpoint, "eu-west-1")
    assert (settings.host, settings.secure, settings.is_amazon) == (host, secure, amazon)


def test_without_keys_the_pods_identity_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials come from where AWS puts them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    store = store_from_environment(S3)
    assert isinstance(store, S3Store)
    provider = store._client.minio._provider
    assert provider is not None
    assert provider.retrieve().access_key == "from-environment"
