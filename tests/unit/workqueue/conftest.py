"""These tests run in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.virtualtime import VirtualLoop


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], VirtualLoop]]:
    """Every test gets an event loop of its own whose time is virtual."""
    return {"virtual": VirtualLoop}
