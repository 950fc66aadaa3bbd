"""The lock files hold what setup.cfg asks for, with checksums, and name no server of anybody's."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def asked(section: str, option: str) -> set[str]:
    """The names of the packages in an option of setup.cfg."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    lines = parser.get(section, option).splitlines()
    return {re.split(r"[<>=!~ \[]", line)[0] for line in lines if line and not line.startswith("#")}


def pinned(file: str) -> dict[str, bool]:
    """The pinned packages of a lock file, and whether each has a checksum."""
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements" / file).read_text())
    return {entry.split("==")[0]: "--hash=sha256:" in entry for entry in entries if "==" in entry.splitlines()[0]}


RUNTIME = asked("options", "install_requires")
TOOLS = asked("options.extras_require", "test") | asked("options.extras_require", "dev")


@pytest.mark.parametrize(("file", "wanted"), [("runtime.txt", RUNTIME), ("dev.txt", RUNTIME | TOOLS)])
def test_every_dependency_is_pinned_with_a_checksum(file: str, wanted: set[str]) -> None:
    """A dependency that is added to setup.cfg without `make lock` is caught here."""
    locked = pinned(file)
    assert wanted - locked.keys() == set()
    assert [name for name, has_checksum in locked.items() if not has_checksum] == []


@pytest.mark.parametrize("file", ["runtime.txt", "dev.txt", "go.txt"])
def test_no_server_is_written_down(file: str) -> None:
    """Where packages come from is the installing machine's business."""
    text = (ROOT / "requirements" / file).read_text()
    assert re.findall(r"https?://\S+|--(?:index-url|extra-index-url|find-links)\S*", text) == []


def test_every_runtime_dependency_says_why() -> None:
    """CONTRIBUTING.md has a line for each, with its reason."""
    table = (ROOT / "CONTRIBUTING.md").read_text()
    assert [name for name in RUNTIME if not re.search(rf"^\| {re.escape(name)} \| .+ \|$", table, re.MULTILINE)] == []
