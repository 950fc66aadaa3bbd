"""Fixtures of the worker's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.workerharness import Harness, Pipe


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    """Makes workers and their executors."""
    harness = Harness(tmp_path)
    yield harness
    harness.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe for what a worker prints."""
    pipe = Pipe()
    yield pipe
    pipe.close()
