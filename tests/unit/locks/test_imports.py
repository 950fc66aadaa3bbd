"""`import kubemr.locks` is light: anybody's worker can afford it."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import kubemr.locks

ROOT = Path(__file__).parents[3]
HEAVY = (
    "asyncio ssl http.client kubernetes aiohttp urllib3 requests structlog minio yaml jsonpatch numpy pathlib "
    "kubemr.controller kubemr.storage kubemr.resources kubemr.coordination kubemr.worker kubemr.local"
)


def imported(statements: str) -> set[str]:
    """What is in sys.modules of a new interpreter after these."""
    code = f"{statements}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_nothing_heavy_is_imported() -> None:
    """Neither asyncio nor TLS nor any other part of kubemr, before they are used."""
    bare = imported("")
    assert (imported("import kubemr.locks") - bare) & set(HEAVY.split()) == set()


@pytest.mark.parametrize("module", ["", *(found.name for found in pkgutil.iter_modules(kubemr.locks.__path__))])
def test_nothing_else_of_kubemr_is_imported(module: str) -> None:
    """The package and each of its modules, also those that are loaded on first use, need no other part of kubemr."""
    name = f"kubemr.locks.{module}".rstrip(".")
    ours = {each for each in imported(f"import {name}") if each.partition(".")[0] == "kubemr"}
    assert name in ours
    assert {each for each in ours if not f"{each}.".startswith("kubemr.locks.")} == {"kubemr"}


def test_what_is_asked_for_is_loaded() -> None:
    """The transport does not bring asyncio, and asyncio comes by name."""
    with_http = imported("from kubemr.locks import HttpTransport")
    assert "http.client" in with_http
    assert "asyncio" not in with_http
    assert "asyncio" in imported("import kubemr.locks; kubemr.locks.aio")


def test_every_public_name_is_there() -> None:
    """And a name that is not says so."""
    for name in kubemr.locks.__all__:
        assert getattr(kubemr.locks, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        kubemr.locks.nonsense  # noqa: B018


def test_identities_are_unlike() -> None:
    """Fit for a lock, and new every time."""
    names = {kubemr.locks.unique("w7") for _ in range(100)} | {kubemr.locks.unique()}
    assert len(names) == 101
    assert not any("/" in name for name in names)
