"""Options and fixtures that every test may use."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this test suite."""
    group = parser.getgroup("kubemr")
    group.addoption(
        "--seeds", type=int, default=25, metavar="N", help="how many seeds each simulation runs (default: 25)"
    )
