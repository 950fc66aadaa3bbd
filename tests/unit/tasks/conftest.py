"""A shard of some tasks, and the bench to work on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from kubemr.tasks import encoding
from kubemr.tasks.shard import LABEL_RUN, LABEL_STAGE, LABEL_TASKS, LABEL_UID, SHARDS, Shard
from support.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


@pytest.fixture
def make_shard(bench: Bench) -> Callable[..., Shard]:
    """Makes the shard `s` of these tasks, labelled `hint`; with one entry for all of them, or one for each."""

    def make(tasks: Mapping[int, str], hint: str = "open", *, collapsed: bool = False) -> Shard:
        labels = {LABEL_UID: "u", LABEL_RUN: "1", LABEL_STAGE: "0-map", LABEL_TASKS: hint}
        body = {
            "apiVersion": "turbobytes.com/v1alpha1",
            "kind": "MapReduceTaskShard",
            "metadata": {"name": "s", "labels": labels},
            "tasks": (encoding.collapse if collapsed else encoding.expand)(tasks),
        }
        return Shard.parse(bench.create(SHARDS, body))

    return make
