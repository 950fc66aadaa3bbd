"""These tests run in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.virtualtime import VirtualLoop


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], VirtualLoop]]:
    """Give every test its own event loop with virtual time."""
    return {"virtual": VirtualLoop}
