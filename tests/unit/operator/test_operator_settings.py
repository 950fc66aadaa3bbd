"""An operator's settings, and the store that it gives a job."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kubemr.controller.settings import OperatorSettings
from kubemr.locks.effects import Json
from kubemr.storage import DirectoryStore
from kubemr.storage.s3 import S3Store

S3 = {"KUBEMR_S3_BUCKET_NAME": "bucket", "KUBEMR_S3_ENDPOINT": "http://minio:9000", "KUBEMR_S3_REGION": "eu"}
KEYS = {"KUBEMR_S3_ACCESS_KEY_ID": "id", "KUBEMR_S3_SECRET_ACCESS_KEY": "hush"}
LEND = {"KUBEMR_LEND_STORAGE_KEYS": "true"}


def job(**s3: Json) -> Json:
    """Return a job that names its store, or none."""
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
        "KUBEMR_DELETION_DEADLINE_SECONDS": "20",
        "KUBEMR_SWEEP_SECONDS": "5",
    }
    settings = OperatorSettings.from_environment(environ)
    assert (settings.namespace, settings.instance, settings.lease_seconds, settings.workers) == ("n", "op-1", 2.5, 3)
    assert (settings.deletion_seconds, settings.sweep_seconds) == (20.0, 5.0)


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


def test_the_operators_own_keys_are_not_copied() -> None:
    """Settings are public; the pods have an identity of their own, unless the administrator says otherwise."""
    storage = OperatorSettings.from_environment({**S3, **KEYS}).storage(job())
    assert (storage.config, storage.secret, storage.own_identity) == (S3, {}, True)


def test_the_administrator_may_lend_the_keys() -> None:
    """To jobs that name no store, or a bucket only."""
    settings = OperatorSettings.from_environment({**S3, **KEYS, **LEND})
    for document in (job(), job(bucket="mine")):
        storage = settings.storage(document)
        assert (storage.secret, storage.own_identity) == (KEYS, False)


@pytest.mark.parametrize("named", [{"endpoint": "http://minio:9000"}, {"secretRef": {"name": "k"}}])
def test_keys_are_never_lent_to_who_names_a_service_or_a_secret(named: Json) -> None:
    """The operator's keys would be sent to whatever server the job names."""
    storage = OperatorSettings.from_environment({**S3, **KEYS, **LEND}).storage(job(bucket="b", **named))
    assert storage.secret == {}


def test_the_operator_opens_a_store_with_the_keys_that_belong_there() -> None:
    """The job's where it names a Secret, its own at its own endpoint, none at another."""
    settings = OperatorSettings.from_environment({**S3, **KEYS})
    theirs = {"KUBEMR_S3_ACCESS_KEY_ID": "id2", "KUBEMR_S3_SECRET_ACCESS_KEY": "hush2"}
    reference = {"name": "k"}

    def access_key(document: Json) -> str:
        store = settings.store(document, theirs)
        assert isinstance(store, S3Store)
        return str(store._settings.access_key)

    assert access_key(job()) == "id"
    assert access_key(job(bucket="mine")) == "id"
    assert access_key(job(bucket="mine", secretRef=reference)) == "id2"
    assert access_key(job(bucket="mine", secretRef=reference, endpoint="http://other:9000")) == "id2"
    assert access_key(job(bucket="mine", endpoint="http://other:9000")) == ""


def test_a_switch_is_true_or_false() -> None:
    """Nothing in between."""
    with pytest.raises(ValueError, match="KUBEMR_LEND_STORAGE_KEYS is 'yes': must be true or false"):
        OperatorSettings.from_environment({"KUBEMR_LEND_STORAGE_KEYS": "yes"})


def test_a_directory() -> None:
    """Local mode."""
    storage = OperatorSettings.from_environment({"KUBEMR_STORAGE_URL": "file:///d", **KEYS}).storage(job())
    assert (storage.config, storage.secret) == ({"KUBEMR_STORAGE_URL": "file:///d"}, {})


def test_a_bucket_is_enough() -> None:
    """Endpoint and region are then the operator's; its prefix is not, which belongs to its own bucket."""
    environ = {**S3, "KUBEMR_S3_BUCKET_PREFIX": "p"}
    config = OperatorSettings.from_environment(environ).storage(job(bucket="mine")).config
    assert config == {**S3, "KUBEMR_S3_BUCKET_NAME": "mine"}


def test_a_store_that_the_job_names() -> None:
    """It replaces the operator's."""
    named = job(bucket="mine", endpoint="https://s3.example.com")
    for environ in ({**S3, **KEYS}, {"KUBEMR_STORAGE_URL": "file:///d"}):
        config = OperatorSettings.from_environment(environ).storage(named).config
        assert config == {"KUBEMR_S3_BUCKET_NAME": "mine", "KUBEMR_S3_ENDPOINT": "https://s3.example.com"}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (job(), r"spec.storage.s3: not set, and the operator has no default store; remedy: "),
        (job(region="eu"), r"spec.storage.s3: not set"),
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
    assert settings.now_string().endswith("Z")
