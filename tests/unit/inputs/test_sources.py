"""What prefixes and globs lead to, in a directory and on a real S3 server."""

from __future__ import annotations

import re

import pytest

from kubemr.controller.inputs.access import Access, InputsError
from kubemr.controller.inputs.sources import PROGRESS_EVERY_KEYS, find_files
from kubemr.storage import NoSuchBucketError, StorageError
from support.inputplaces import Place

KEYS = ("2025/01/a.gz", "2025/01/ä b.gz", "2025/02/c.txt", "2025-old.gz", "other/x#1?.gz")


def urls(place: Place, *sources: dict[str, str]) -> list[str]:
    """Return the addresses found."""
    return [found.url for found in find_files(sources, place.access, sizes=False) if found is not None]


def test_a_prefix_is_everything_that_begins_like_it(place: Place) -> None:
    """In the order of the keys, with the sizes in the listing."""
    found = place.fill(*KEYS)
    assert urls(place, {"prefix": f"{place.root}2025/"}) == found[:3]
    assert urls(place, {"prefix": f"{place.root}2025"}) == [found[3], *found[:3]]
    listed = list(find_files([{"prefix": f"{place.root}other/"}], place.access, sizes=True))
    assert [each.size for each in listed if each is not None] == [len(KEYS[4])]


@pytest.mark.parametrize(
    ("glob", "places"),
    [
        ("2025/**/*.gz", (0, 1)),
        ("2025/*/*.txt", (2,)),
        ("**/*.gz", (3, 0, 1, 4)),
        ("2025/01/ä*", (1,)),
        ("*.gz", (3,)),
        ("2025-old.gz", (3,)),
    ],
)
def test_a_glob_is_matched_against_whole_keys(place: Place, glob: str, places: tuple[int, ...]) -> None:
    """Letters are themselves, however the address is written."""
    found = place.fill(*KEYS)
    assert urls(place, {"glob": place.root + glob}) == [found[number] for number in places]


def test_letters_of_a_file_address_may_be_quoted(folder: Place) -> None:
    """As elsewhere; in the glob too."""
    found = folder.fill("x%20y", "a*b", "acb")
    assert urls(folder, {"prefix": f"{folder.root}x%2520"}) == found[:1]
    assert urls(folder, {"glob": f"{folder.root}a%2Ab"}) == found[1:2]


def test_several_sources_follow_each_other(place: Place) -> None:
    """What two of them lead to is there twice."""
    found = place.fill("a/1", "b/1")
    sources = [{"prefix": f"{place.root}b/"}, {"prefix": place.root}]
    assert urls(place, *sources) == [found[1], *found]


@pytest.mark.parametrize("member", ["prefix", "glob"])
def test_nothing_found_is_an_error(place: Place, member: str) -> None:
    """Of the source that finds nothing, even where others do: it names field, value and remedy."""
    place.fill("a/1")
    missing = f"{place.root}b/x"
    expected = rf'^spec\.inputsFrom\[1\]\.{member}: "{re.escape(missing)}": matches no file; remedy: correct'
    with pytest.raises(InputsError, match=expected):
        urls(place, {"prefix": place.root}, {member: missing})


def test_a_bucket_that_is_missing_may_come(bucket: Place) -> None:
    """It is the store's own error, on which the job waits."""
    with pytest.raises(NoSuchBucketError):
        urls(bucket, {"prefix": "s3://no-such-bucket-here/"})


def test_keys_that_are_wrong_may_be_corrected(bucket: Place) -> None:
    """Likewise."""
    denied = Access({**bucket.environ, "KUBEMR_S3_SECRET_ACCESS_KEY": "wrong-secret"}, True)
    with pytest.raises(StorageError, match="list"):
        list(find_files([{"prefix": bucket.root}], denied, sizes=False))


def test_a_key_that_no_worker_could_read_is_an_error(bucket: Place) -> None:
    """S3 takes more keys than kubemr does."""
    from minio import Minio

    client = Minio(
        bucket.environ["KUBEMR_S3_ENDPOINT"].removeprefix("http://"),
        bucket.environ["KUBEMR_S3_ACCESS_KEY_ID"],
        bucket.environ["KUBEMR_S3_SECRET_ACCESS_KEY"],
        secure=False,
    )
    import io

    client.put_object(bucket.root[5:-1], "a/tab\there", io.BytesIO(b"x"), 1)
    with pytest.raises(InputsError, match=r"spec\.inputsFrom\[0\]\.prefix: .*control character.*; remedy: "):
        urls(bucket, {"prefix": bucket.root})


def test_a_climbing_address_is_refused(folder: Place) -> None:
    """What an administrator allows is a beginning of addresses."""
    with pytest.raises(InputsError, match=r"has a folder \.\."):
        urls(folder, {"prefix": f"{folder.root}%2e%2E/x"})


def test_a_long_search_without_a_match_lets_others_in_between(folder: Place) -> None:
    """Else an operator could not stop in the middle of it."""
    folder.fill(*(f"x/{number:04d}" for number in range(PROGRESS_EVERY_KEYS + 2)), "y")
    found = list(find_files([{"glob": f"{folder.root}**/y"}], folder.access, sizes=False))
    assert found.count(None) == 2
    assert len(found) == 3
