"""An entry for each task, or one for all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.tasks import encoding
from kubemr.tasks.state import InvalidStateError

STATES = st.sampled_from(["pending/1/0/0/", "pending/2/0/1/", "done/1/0/0/w0-aaaaaa"])


@given(st.integers(0, 10**6), st.integers(1, encoding.MAX_TASKS))
def test_a_key_names_the_tasks_that_it_was_made_of(first: int, count: int) -> None:
    """One, or many that follow one another."""
    tasks = range(first, first + count)
    assert encoding.numbers(encoding.key(tasks)) == tasks


@pytest.mark.parametrize(
    "key",
    [
        "",
        "-",
        "-1",
        "1-",
        "01",
        "0-01",
        "5-5",
        "5-4",
        "0-0",
        "0-512",
        "1-2-3",
        "x",
        "0x1",
        "1 ",
        " 1",
        "1\n",
        "1_0",
        "\u0661",
        "+1",
    ],
)
def test_any_other_key_is_an_error(key: str) -> None:
    """A number has one spelling, as keys are compared as strings; what is wrong is shown."""
    with pytest.raises(InvalidStateError, match="does not name tasks"):
        encoding.numbers(key)
    with pytest.raises(InvalidStateError, match="does not name tasks"):
        encoding.texts({key: "pending/1/0/0/"})


@given(st.integers(0, 1000), st.lists(STATES, min_size=1, max_size=20))
def test_both_forms_tell_the_same(first: int, states: list[str]) -> None:
    """In order of the numbers, whatever the order of the entries."""
    tasks = dict(enumerate(states, first))
    for document in (encoding.expand(tasks), encoding.collapse(tasks)):
        found = encoding.texts(dict(reversed(document.items())))
        assert list(found.items()) == list(tasks.items())
        assert encoding.tasks_per_entry(document) * len(document) == len(tasks)
    assert (len(encoding.collapse(tasks)) == 1) == (len(set(states)) == 1)


def test_what_does_not_follow_one_another_has_an_entry_each() -> None:
    """A key tells of nothing in between."""
    assert encoding.collapse({1: "a", 3: "a"}) == {"1": "a", "3": "a"}
    assert encoding.collapse({7: "a"}) == {"7": "a"}
