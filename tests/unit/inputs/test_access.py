"""By whose rights the operator looks: a job learns nothing through it that its own pods could not read."""

from __future__ import annotations

import re

import pytest

from kubemr.controller.inputs.access import Access, InputsError
from kubemr.controller.settings import OperatorSettings
from kubemr.locks.effects import Json

S3 = {"KUBEMR_S3_BUCKET_NAME": "bucket", "KUBEMR_S3_ENDPOINT": "http://minio:9000", "KUBEMR_S3_REGION": "eu"}
KEYS = {"KUBEMR_S3_ACCESS_KEY_ID": "id", "KUBEMR_S3_SECRET_ACCESS_KEY": "hush"}
THEIRS = {"KUBEMR_S3_ACCESS_KEY_ID": "id2", "KUBEMR_S3_SECRET_ACCESS_KEY": "hush2"}
SECRET = {"secretRef": {"name": "k"}}
ADDRESSES = ("s3://corpus/x", "s3://corpus-2/x", "https://lists.example/x", "file:///data/x")


def access(environ: dict[str, str], **s3: Json) -> Access:
    """Return the access of an operator with these settings for a job with that store."""
    document = {"spec": {"storage": {"s3": {"bucket": "b", **s3}} if s3 else {}}}
    settings = OperatorSettings.from_environment({**S3, **KEYS, **environ})
    return settings.access(document, THEIRS if "secretRef" in s3 else {})


def reach(found: Access) -> list[str]:
    """Return the addresses that the access permits."""
    passed = []
    for address in ADDRESSES:
        try:
            found.check("spec.inputsFrom[0].prefix", address)
        except InputsError:
            continue
        passed.append(address)
    return passed


def test_the_keys_of_the_jobs_secret_open_what_they_open() -> None:
    """The bucket is for the store to refuse; what is no bucket is not among it."""
    found = access({}, **SECRET)
    assert found.environ["KUBEMR_S3_ACCESS_KEY_ID"] == "id2"
    assert reach(found) == ["s3://corpus/x", "s3://corpus-2/x"]


def test_keys_that_are_lent_are_the_jobs_too() -> None:
    """Its pods have them."""
    assert reach(access({"KUBEMR_LEND_STORAGE_KEYS": "true"})) == ["s3://corpus/x", "s3://corpus-2/x"]


def test_by_itself_the_operator_looks_nowhere() -> None:
    """Its own keys might open the objects of other jobs."""
    assert reach(access({})) == []


def test_but_where_an_administrator_lets_it() -> None:
    """Below the addresses that are named, whatever the job's keys."""
    named = {"KUBEMR_INPUTS_FROM": "s3://corpus/ https://lists.example/"}
    assert reach(access(named)) == ["s3://corpus/x", "https://lists.example/x"]
    assert reach(access(named, **SECRET)) == ["s3://corpus/x", "s3://corpus-2/x", "https://lists.example/x"]
    assert reach(access({"KUBEMR_INPUTS_FROM": "*"})) == list(ADDRESSES)
    assert access(named).environ["KUBEMR_S3_ACCESS_KEY_ID"] == "id"


@pytest.mark.parametrize("allowed", ["s3://corpus/ file:///data/", "*"])
def test_what_the_operator_has_is_never_shown_to_a_service_that_the_job_names(allowed: str) -> None:
    """Without its own keys such a job can have no bucket listed."""
    found = access({"KUBEMR_INPUTS_FROM": allowed, "KUBEMR_LEND_STORAGE_KEYS": "true"}, endpoint="http://evil:1")
    assert not set(KEYS) & set(found.environ)
    assert [address for address in reach(found) if address.startswith("s3:")] == []


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("s3://corpus/x", "name the keys in spec.storage.s3.secretRef, or ask an administrator"),
        ("file:///data/x", "list the files in an object in S3"),
        ("https://lists.example/x", "put the list into S3"),
    ],
)
def test_a_refusal_names_the_remedy(address: str, remedy: str) -> None:
    """And the field and the value."""
    expected = rf'^spec\.inputsFrom\[2\]\.glob: "{re.escape(address)}": the operator may not .*; remedy: {remedy}'
    with pytest.raises(InputsError, match=expected):
        access({}).check("spec.inputsFrom[2].glob", address)


@pytest.mark.parametrize("text", ["s3://corpus", "corpus/", "ftp://x/", "s3://a/ b"])
def test_an_allowed_address_ends_where_a_name_ends(text: str) -> None:
    """`s3://corpus` would be `s3://corpus-secret` too."""
    with pytest.raises(ValueError, match=r"KUBEMR_INPUTS_FROM has .*: must be addresses that end in a slash"):
        OperatorSettings.from_environment({"KUBEMR_INPUTS_FROM": text})


def test_a_local_run_reaches_s3_from_a_directory() -> None:
    """Operator and workers are the same user's: service and keys go along."""
    environ = {"KUBEMR_STORAGE_URL": "file:///d", "KUBEMR_LEND_STORAGE_KEYS": "true", "KUBEMR_INPUTS_FROM": "*"}
    settings = OperatorSettings.from_environment({**S3, **KEYS, **environ})
    storage = settings.storage({"spec": {}})
    service = {name: S3[name] for name in ("KUBEMR_S3_ENDPOINT", "KUBEMR_S3_REGION")}
    assert (storage.config, storage.secret) == ({"KUBEMR_STORAGE_URL": "file:///d", **service}, KEYS)
    assert settings.access({"spec": {}}).environ == {**storage.config, **KEYS}
