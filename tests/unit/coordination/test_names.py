"""The names of what belongs to a job: pinned, unlike for unlike jobs, and never too long."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.coordination import names

UID = "4c0c9d5e-7a53-4d5c-9a35-0a7c5f6e1b2d"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
"""RFC 1123: what a pod's name, made from a Job's, has to be."""

job_names = st.from_regex(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", fullmatch=True).filter(
    lambda name: len(name) <= 253
)


def test_the_hash_is_that_of_the_protocol() -> None:
    """Made by coreutils: printf %s "$UID/1" | openssl sha256 -binary | base32 | cut -c1-8, in lower case."""
    assert names.short_hash(f"{UID}/1") == "gkylef7p"
    assert names.short_hash(f"{UID}/2") == "hsz5swyd"
    assert names.short_hash(UID) == "ugdddupt"


def test_the_names_of_all_children() -> None:
    """docs/protocol.md, "Names" and "Storage"."""
    base = names.base("test.z0dk5", UID, 1)
    assert base == f"test-z0dk5-{names.short_hash(f'{UID}/1')}"
    assert names.shard(base, 0, "map", 12) == f"{base}-0-map-12"
    assert names.lease(base, 3) == f"{base}-w-3"
    assert names.config_map(base) == f"{base}-config"
    assert names.secret(base) == f"{base}-storage"
    assert names.workers(base, 0) == f"{base}-workers"
    assert names.workers(base, 2) == f"{base}-workers-2"
    assert names.stage_label(1, "reduce") == "1-reduce"
    prefix = names.storage_prefix("test.z0dk5", UID)
    assert prefix == f"test-z0dk5-{names.short_hash(UID)}/"
    assert names.attempt_prefix(prefix, 0, "map", 17, "2-w7-k2p4x9") == f"{prefix}0/map/17/2-w7-k2p4x9/"
    assert names.index_key(prefix, 3, 0, "map") == f"{prefix}run-3/0-map.index.json"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("words", "words"),
        ("a.b.c", "a-b-c"),
        ("x" * 39 + "-y", "x" * 39),
        ("x" * 39 + ".y", "x" * 39),
        ("x" * 38 + "-.y", "x" * 38),
        ("x" * 60, "x" * 40),
    ],
)
def test_the_readable_beginning(name: str, slug: str) -> None:
    """Cut to 40 characters, nothing but letters and digits at its end."""
    assert names.slug(name) == slug


@given(job_names, st.uuids(), st.integers(1, 1001))
def test_no_name_is_too_long_or_malformed(name: str, uid: object, run: int) -> None:
    """A pod's name is its Job's with `-<index>-<5 characters>`, and a label's value has 63 characters at most."""
    base = names.base(name, str(uid), run)
    workers = names.workers(base, 999)
    assert LABEL.fullmatch(workers)
    assert len(f"{workers}-99999-abcde") <= 80
    assert len(workers) <= 63
    for child in (names.shard(base, 1000, "reduce", 10**6), names.lease(base, 999_999), names.secret(base)):
        assert LABEL.fullmatch(child)
        assert len(child) <= 253


@given(job_names, st.uuids(), st.uuids(), st.integers(1, 9), st.integers(1, 9))
def test_jobs_of_one_name_share_nothing(name: str, one: object, two: object, run: int, other: int) -> None:
    """Nor do two runs of a job."""
    same = (one, run) == (two, other)
    assert (names.base(name, str(one), run) == names.base(name, str(two), other)) is same


def test_the_labels_and_the_owner_of_a_child() -> None:
    """The owner's deletion is not held up: the finalizer sees to the order."""
    assert names.labels("u", 2) == {
        "kubemr.turbobytes.com/job-uid": "u",
        "kubemr.turbobytes.com/run": "2",
        "app.kubernetes.io/managed-by": "kubemr",
    }
    owner = names.owner("words", "u")
    assert (owner["kind"], owner["name"], owner["uid"]) == ("MapReduceJob", "words", "u")
    assert owner["controller"] is True
    assert owner["blockOwnerDeletion"] is False
