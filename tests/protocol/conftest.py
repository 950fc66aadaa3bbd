"""A stage for each test, and the worker commands that are checked on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import protocolworkers
from support.protocolstage import Stage


@pytest.fixture(params=protocolworkers.kinds())
def command(request: pytest.FixtureRequest) -> list[str]:
    """A worker's command."""
    return protocolworkers.command(request.param)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """With a directory as its store."""
    made = Stage(tmp_path, {"KUBEMR_STORAGE_URL": (tmp_path / "store").as_uri()})
    yield made
    made.close()
