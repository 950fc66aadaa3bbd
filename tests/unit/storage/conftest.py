"""Stores of every kind, empty and of one's own, and time that passes at once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from minio import Minio

from kubemr.storage import DirectoryStore, HttpStore, ObjectStore, Retrier, S3Settings, S3Store
from support.minioserver import MinioServer
from support.webservers import FileServer, ScriptedServer, Step

PART_SIZE = 5 * 1024 * 1024
"""The smallest part that S3 takes."""


class VirtualTime:
    """A clock that is moved by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> VirtualTime:
    """The time that `retrier` sees."""
    return VirtualTime()


@pytest.fixture
def retrier(time: VirtualTime) -> Retrier:
    """The default retries, in virtual time; each wait is half of its bound."""
    return Retrier(clock=lambda: time.now, sleep=time.sleep, random=lambda: 0.5)


@pytest.fixture
def s3_settings(minio_server: MinioServer) -> S3Settings:
    """How to reach the real S3 server."""
    return S3Settings(minio_server.endpoint, minio_server.region, minio_server.access_key, minio_server.secret_key)


@pytest.fixture
def s3_environment(s3_settings: S3Settings) -> dict[str, str]:
    """The same for a worker, without the bucket."""
    return {
        "KUBEMR_S3_ENDPOINT": s3_settings.endpoint,
        "KUBEMR_S3_REGION": s3_settings.region,
        "KUBEMR_S3_ACCESS_KEY_ID": s3_settings.access_key,
        "KUBEMR_S3_SECRET_ACCESS_KEY": s3_settings.secret_key,
    }


@pytest.fixture
def minio_client(s3_settings: S3Settings) -> Minio:
    """Another client of the real S3 server, to look behind the store's back."""
    return Minio(
        s3_settings.host,
        s3_settings.access_key,
        s3_settings.secret_key,
        secure=s3_settings.secure,
        region=s3_settings.region,
    )


@pytest.fixture
def bucket(minio_client: Minio) -> str:
    """A fresh bucket."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    minio_client.make_bucket(name)
    return name


@pytest.fixture
def s3_store(bucket: str, s3_settings: S3Settings) -> S3Store:
    """An empty store on the real S3 server, with small parts."""
    return S3Store(bucket, "some/prefix", s3_settings, part_size=PART_SIZE)


@pytest.fixture
def directory_store(tmp_path: Path) -> DirectoryStore:
    """An empty directory."""
    return DirectoryStore(tmp_path / "store")


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """Each kind of store that can be written to."""
    found: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return found


@pytest.fixture(params=["directory", "s3", "http"])
def stored(request: pytest.FixtureRequest) -> Iterator[Callable[[dict[str, bytes]], ObjectStore]]:
    """Each kind of store, filled: a function from the objects to the store that holds them, for reading."""
    with ExitStack() as stack:

        def fill(objects: dict[str, bytes]) -> ObjectStore:
            kind = request.param.replace("http", "directory")
            made: ObjectStore = request.getfixturevalue(f"{kind}_store")
            for key, data in objects.items():
                made.put(key, data)
            if request.param == "http":
                assert isinstance(made, DirectoryStore)
                return HttpStore(stack.enter_context(FileServer(Path(made.root))).url)
            return made

        yield fill


@pytest.fixture
def scripted() -> Iterator[Callable[..., ScriptedServer]]:
    """A function from steps to a running server that takes them."""
    with ExitStack() as stack:

        def start(*script: Step) -> ScriptedServer:
            server = ScriptedServer(*script)
            stack.enter_context(server)
            return server

        yield start


@pytest.fixture
def scripted_s3(
    scripted: Callable[..., ScriptedServer], retrier: Retrier
) -> Callable[..., tuple[S3Store, ScriptedServer]]:
    """The same for an S3 store whose server is scripted."""

    def start(*script: Step) -> tuple[S3Store, ScriptedServer]:
        server = scripted(*script)
        settings = S3Settings(server.url, access_key="key", secret_key="secret")
        return S3Store("bucket", "", settings, retrier, part_size=PART_SIZE), server

    return start
