"""Every kind of mistake is refused by name: the path of the field, what is wrong, and what to do."""

from __future__ import annotations

import re

import pytest

from kubemr.resources import validate
from support.mistake import Mistake
from support.mistakes import MISTAKES


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_mistake_is_named(mistake: Mistake) -> None:
    """The problem at the right path says the right words, on one line, with a remedy."""
    problems = validate(mistake.job)
    named = [problem for problem in problems if problem.path == mistake.path]
    assert named, f"expected {mistake.path}, got {[str(problem) for problem in problems]}"
    text = " ".join(str(problem) for problem in named)
    assert re.search(mistake.words, text), text
    for problem in problems:
        assert problem.message
        assert problem.remedy
        assert "\n" not in str(problem)
        assert len(problem.value) <= 80


def test_table_is_wide_enough() -> None:
    """There are at least forty mistakes, each with a different name."""
    names = {mistake.name for mistake in MISTAKES}
    assert len(names) == len(MISTAKES)
    assert len(names) >= 40


@pytest.mark.parametrize("document", [None, 3, "x", [], True])
def test_what_is_no_object_is_refused(document: object) -> None:
    """A document that is not even an object is a problem and no crash."""
    (problem,) = validate(document)
    assert problem.path == "job"
