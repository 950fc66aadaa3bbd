"""The Python blocks of docs/locks.md, in order, against a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kubemr.locks import HttpTransport, Server
from support.gadgets import Gadgets

PAGE = Path(__file__).parents[3] / "docs" / "locks.md"


def test_the_blocks_run(
    gadgets: Gadgets, server: Server, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a reader would run them, one after the other; at the end three parts are made and the lock is free."""
    target = Gadgets(transport, "default").create(name="press")
    monkeypatch.setenv("KUBEMR_APISERVER", server.url)
    monkeypatch.setenv("KUBEMR_APISERVER_TOKEN", server.token or "")
    monkeypatch.setenv("KUBEMR_APISERVER_CA", str(server.ca_file or ""))
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    try:
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), names)  # the page is ours
        shown = gadgets.get(target)
        assert shown["made"] == 3
        assert re.fullmatch(r"/\d+/0", shown["lockholder"])
    finally:
        gadgets.delete(target)
