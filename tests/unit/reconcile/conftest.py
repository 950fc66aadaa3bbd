"""A bench with an apiserver, and one operator on it."""

from __future__ import annotations

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from support.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """Return an empty apiserver."""
    return Bench()


@pytest.fixture
def operator(bench: Bench) -> ReconcileContext:
    """Return an operator that is alive and whose caches are up to date."""
    return bench.operator()
