"""Pages name files that exist: a module that moves takes its mentions along."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
TOP = ("kubemr", "tests", "docs", "examples", "benchmarks", "manifests", "images")
SOURCES = [f"/{file.relative_to(ROOT)}" for top in TOP for file in (ROOT / top).rglob("*") if file.is_file()]


def missing(text: str) -> list[str]:
    """Return the files and folders that `text` names in backticks or links, and that do not exist.

    `kubemr/locks/lock.py` is meant from the root; `lock.py` and `locks/lock.py` are any file that ends like it.
    `kubemr/operator`, without an ending or a final slash, may be the name of an image.
    """
    found = []
    for name in re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", text):
        rooted = name.split("/")[0] in TOP and (name.endswith("/") or "." in name.rpartition("/")[2])
        if rooted:
            exists = (ROOT / name).exists()
        else:
            exists = not name.endswith(".py") or any(source.endswith(f"/{name}") for source in SOURCES)
        if not exists:
            found.append(name)
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_named_file_exists(page: Path) -> None:
    assert missing(page.read_text()) == []


def test_a_file_that_has_moved_is_found() -> None:
    assert missing("`kubemr/worker/loop.py`, `locks/request.py`, `desk.py`, `kubemr/locks/lock.py`, `lock.py`") == [
        "kubemr/worker/loop.py",
        "locks/request.py",
        "desk.py",
    ]
