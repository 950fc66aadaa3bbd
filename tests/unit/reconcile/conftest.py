"""A bench with an apiserver, and one operator on it."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from support.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()


@pytest.fixture
def operator(bench: Bench) -> ReconcileContext:
    """An operator that lives and whose caches are up to date."""
    return bench.operator()
