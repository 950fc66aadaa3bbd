"""Where inputs are looked for: a directory, and a bucket of a real S3 server."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from minio import Minio

from kubemr.storage import DirectoryStore, S3Settings, S3Store
from support.inputplaces import Place
from support.minioserver import MinioServer


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    """Return a directory."""
    root = tmp_path / "in puts"
    return Place(root.as_uri() + "/", DirectoryStore(root))


@pytest.fixture
def bucket(minio_server: MinioServer) -> Place:
    """Return a bucket."""
    settings = S3Settings(minio_server.endpoint, minio_server.region, minio_server.access_key, minio_server.secret_key)
    client = Minio(
        settings.host, settings.access_key, settings.secret_key, secure=settings.secure, region=settings.region
    )
    name = f"inputs-{uuid.uuid4().hex[:12]}"
    client.make_bucket(name)
    environ = {
        "KUBEMR_S3_ENDPOINT": settings.endpoint,
        "KUBEMR_S3_REGION": settings.region,
        "KUBEMR_S3_ACCESS_KEY_ID": settings.access_key,
        "KUBEMR_S3_SECRET_ACCESS_KEY": settings.secret_key,
    }
    return Place(f"s3://{name}/", S3Store(name, "", settings), environ)


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each of them."""
    found: Place = request.getfixturevalue(request.param)
    return found
