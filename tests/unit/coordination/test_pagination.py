"""Consistent lists: all pages of one snapshot, or an error."""

from __future__ import annotations

import pytest

from kubemr.coordination import pagination
from kubemr.coordination.pagination import Pages, list_all
from kubemr.locks import Answer, Op, RequestRefusedError, Resource
from kubemr.locks.conditional import Target
from support.bench import DENIED, LOST_ANSWER, UNAVAILABLE, Bench, asks

MAPS = Resource("", "v1", "configmaps")


@pytest.fixture
def seven(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Seven objects, three to a page."""
    monkeypatch.setattr(pagination, "PAGE", 3)
    for number in range(7):
        bench.create(MAPS, {"metadata": {"name": f"m{number}", "labels": {"a": "b"}}})
    bench.create(MAPS, {"metadata": {"name": "other"}})
    return bench


def listed(bench: Bench, limit: int | None = None) -> list[str]:
    """The names of what `list_all` gives."""
    found = bench.run(list_all(MAPS, "default", "a=b", limit=limit))
    assert int(found.resource_version) > 0
    return [item["metadata"]["name"] for item in found.items]


def test_all_pages_are_one_snapshot(seven: Bench) -> None:
    """What comes in between two pages is not in it, and a watch from its version shows it."""
    version = str(seven.server.revision)
    seven.meanwhile(
        lambda request: "continue" in request.query,
        lambda: seven.create(MAPS, {"metadata": {"name": "m9", "labels": {"a": "b"}}}),
    )
    found = seven.run(list_all(MAPS, "default", "a=b"))
    assert len(found.items) == 7
    assert found.resource_version == version
    assert [request.query.get("limit") for request in seven.requests] == ["3", "3", "3"]
    assert all("resourceVersion" not in request.query for request in seven.requests)


def test_a_limit_is_one_page(seven: Bench) -> None:
    """No other page is requested."""
    assert listed(seven, limit=2) == ["m0", "m1"]
    assert len(seven.requests) == 1


def test_a_snapshot_that_expires_between_two_pages_is_begun_again(seven: Bench) -> None:
    """410: nothing of the first pages is kept."""

    def expire() -> None:
        seven.create(MAPS, {"metadata": {"name": "late", "labels": {"a": "b"}}})
        seven.server.compact()

    seven.meanwhile(lambda request: "continue" in request.query, expire)
    assert listed(seven) == ["late", *(f"m{number}" for number in range(7))]


def test_what_is_transient_is_sat_out(seven: Bench) -> None:
    """With growing pauses; a server's Retry-After is respected."""
    busy = Answer(429, retry_after=9)
    seven.answer(asks("list", "configmaps"), UNAVAILABLE, LOST_ANSWER, busy, Answer(0, error="refused", sent=False))
    assert len(listed(seven)) == 7
    assert len(seven.slept) == 4
    assert seven.slept[2] > 9


@pytest.mark.parametrize("answer", [DENIED, Answer(410), Answer(404)])
def test_what_is_not_is_an_error(seven: Bench, answer: Answer) -> None:
    """A 410 of the first page would not pass either."""
    seven.answer(asks("list", "configmaps"), answer)
    with pytest.raises(RequestRefusedError, match=r"listing configmaps of a=b"):
        listed(seven)


def pages_of(bench: Bench, size: int | None = None) -> list[tuple[bool, list[str]]]:
    """The pages that there are: whether a list begins with it, and the names on it."""
    pages = Pages(MAPS, "default", "a=b", size)
    found: list[tuple[bool, list[str]]] = []

    def walk() -> Op[None]:
        while (page := (yield from pages.next())) is not None:
            found.append((page.first, [item["metadata"]["name"] for item in page.items]))

    bench.run(walk())
    assert bench.run(pages.next()) is None
    return found


def test_pages_come_one_by_one(seven: Bench) -> None:
    """The list begins with the first page, and each request has the size of a page as its limit."""
    assert pages_of(seven, 4) == [(True, ["m0", "m1", "m2", "m3"]), (False, ["m4", "m5", "m6"])]
    assert pages_of(seven) == [(True, ["m0", "m1", "m2"]), (False, ["m3", "m4", "m5"]), (False, ["m6"])]
    assert pages_of(seven, 7) == [(True, [f"m{number}" for number in range(7)])]


def test_a_list_that_begins_again_says_so(seven: Bench) -> None:
    """What was made of the first pages does not count."""

    def expire() -> None:
        seven.delete(Target(MAPS, "default", "m0"))
        seven.server.compact()

    seven.meanwhile(lambda request: "continue" in request.query, expire)
    assert pages_of(seven, 6) == [
        (True, [f"m{number}" for number in range(6)]),
        (True, [f"m{number}" for number in range(1, 7)]),
    ]
