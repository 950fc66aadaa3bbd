"""The Python half of each rule speaks as the apiserver does; the end-to-end tests compare it with the CEL half."""

from __future__ import annotations

import pytest

from kubemr.resources import with_defaults
from kubemr.resources.cel_evaluation import check_rules
from support.jobs import example
from support.mistake import Mistake
from support.mistakes_rule import RULE


@pytest.mark.parametrize("mistake", RULE, ids=lambda mistake: mistake.name)
def test_broken_rule_names_the_field(mistake: Mistake) -> None:
    """A cause of the apiserver's `Status`: reason, field, and a message with mistake and remedy."""
    causes = [error.cause() for error in check_rules(with_defaults(mistake.job), "MapReduceJob")]
    assert mistake.path in [cause["field"] for cause in causes]
    assert all("; " in cause["message"] for cause in causes)


def test_change_is_judged_with_the_old_object() -> None:
    """A transition rule needs the object as it was."""
    old, new = with_defaults(example("seed")), with_defaults(example("seed"))
    new["spec"]["image"] = "other"
    assert check_rules(new, "MapReduceJob") == []
    (error,) = check_rules(new, "MapReduceJob", old)
    assert str(error) == (
        "spec.image: Forbidden: image cannot change after creation; delete the job and create it again"
    )


def test_shards_have_none() -> None:
    """Whatever changes in a shard, the worker protocol's own tests guard it."""
    old = {"tasks": {"0": "pending/1/0/0/"}}
    assert check_rules({"tasks": {"0": "failed/1/4/0/"}}, "MapReduceTaskShard", old) == []
