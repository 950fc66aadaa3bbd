"""An operator's settings, and the store that it gives a job."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kubemr.controller.settings import OperatorSettings
from kubemr.locks.request import Json
from kubemr.storage import DirectoryStore

S3 = {"KUBEMR_S3_BUCKET_NAME": "b", "KUBEMR_S3_ENDPOINT": "http://minio:9000", "KUBEMR_S3_REGION": "eu"}
KEYS = {"KUBEMR_S3_ACCESS_KEY_ID": "id", "KUBEMR_S3_SECRET_ACCESS_KEY": "hush"}


def job(**s3: Json) -> Json:
    """A job that names its store, or none."""
    return {"spec": {"storage": {"s3": s3}} if s3 else {}}


def test_the_defaults() -> None:
    """Nothing has to be set; the instance is the machine's name, fit for a Lease's."""
    settings = OperatorSettings.from_environment({})
    assert (settings.namespace, settings.lease_seconds, settings.workers) == ("kubemr", 15.0, 8)
    assert re.fullmatch(r"[a-z0-9][-a-z0-9_]*", settings.instance)


def test_what_is_set() -> None:
    """Numbers are read."""
    environ = {
        "KUBEMR_NAMESPACE": "n",
        "KUBEMR_INSTANCE": "op-1",
        "KUBEMR_LEASE_SECONDS": "2.5",
        "KUBEMR_WORKERS": "3",
    }
    settings = OperatorSettings.from_environment(environ)
    assert (settings.namespace, settings.instance, settings.lease_seconds, settings.workers) == ("n", "op-1", 2.5, 3)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("KUBEMR_LEASE_SECONDS", "soon", "must be a number"),
        ("KUBEMR_LEASE_SECONDS", "0.5", "must be at least 1"),
        ("KUBEMR_LEASE_SECONDS", "nan", "must be at least 1"),
        ("KUBEMR_WORKERS", "0", "must be at least 1"),
        ("KUBEMR_WORKERS", "1e7", "below 1e6"),
    ],
)
def test_a_value_that_makes_no_sense(name: str, value: str, problem: str) -> None:
    """It is named and shown."""
    with pytest.raises(ValueError, match=f"{name} is '{value}': .*{problem}"):
        OperatorSettings.from_environment({name: value})


def test_the_operators_own_store() -> None:
    """Settings are public, keys are secret."""
    storage = OperatorSettings.from_environment({**S3, **KEYS}).storage(job())
    assert storage.config == S3
    assert storage.secret == KEYS


def test_a_directory() -> None:
    """Local mode."""
    storage = OperatorSettings.from_environment({"KUBEMR_STORAGE_URL": "file:///d", **KEYS}).storage(job())
    assert (storage.config, storage.secret) == ({"KUBEMR_STORAGE_URL": "file:///d"}, {})


def test_a_store_that_the_job_names() -> None:
    """It replaces the operator's."""
    named = job(bucket="mine", endpoint="https://s3.example.com")
    for environ in ({**S3, **KEYS}, {"KUBEMR_STORAGE_URL": "file:///d"}):
        config = OperatorSettings.from_environment(environ).storage(named).config
        assert config == {"KUBEMR_S3_BUCKET_NAME": "mine", "KUBEMR_S3_ENDPOINT": "https://s3.example.com"}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (job(), r"spec.storage.s3: not set, and the operator has no store of its own; remedy: "),
        (job(region="eu"), r"spec.storage.s3: not set"),
        (job(bucket="b", secretRef={"name": "k"}), r"spec.storage.s3.secretRef: 'k': secrets .* are not read"),
    ],
)
def test_a_job_whose_store_is_not_known(document: Json, problem: str) -> None:
    """The path of the field, and the remedy."""
    with pytest.raises(ValueError, match=problem):
        OperatorSettings.from_environment({}).storage(document)


def test_a_store_is_opened_once(tmp_path: Path) -> None:
    """For all jobs that share it."""
    settings = OperatorSettings.from_environment({"KUBEMR_STORAGE_URL": tmp_path.as_uri()})
    store = settings.store(job())
    assert isinstance(store, DirectoryStore)
    assert settings.store({"spec": {"image": "other"}}) is store
    assert settings.stamp().endswith("Z")
