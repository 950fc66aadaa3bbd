"""A bench with an apiserver."""

from __future__ import annotations

import pytest

from support.bench import Bench


@pytest.fixture
def bench() -> Bench:
    """An empty apiserver."""
    return Bench()
