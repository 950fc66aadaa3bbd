"""The generated files are what the definitions say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kubemr.resources import crd
from kubemr.resources.definitions.objects import KINDS
from kubemr.resources.generate import files, main

ROOT = Path(__file__).parents[3]
GENERATE = "run `python -m kubemr.resources.generate manifests docs/api.md`"


@pytest.mark.parametrize("path", files(ROOT / "manifests", ROOT / "docs/api.md"), ids=lambda path: path.name)
def test_file_has_not_drifted(path: Path) -> None:
    """A commit that changes a definition regenerates the manifests and the reference."""
    wanted = files(ROOT / "manifests", ROOT / "docs/api.md")[path]
    assert path.read_text() == wanted, f"{path.relative_to(ROOT)} is out of date; {GENERATE}"


def test_no_other_crds_lie_there() -> None:
    """A CRD that is no longer generated would be installed still; the list for kustomize names all of them."""
    generated = {path.name for path in files(ROOT / "manifests", None)}
    there = {path.name for path in (ROOT / "manifests/crds").iterdir()}
    assert there == {*generated, "kustomization.yaml"}
    listed = yaml.safe_load((ROOT / "manifests/crds/kustomization.yaml").read_text())["resources"]
    assert set(listed) == generated


def test_generate_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command makes the folders, writes every file and says which."""
    assert main([str(tmp_path / "manifests"), str(tmp_path / "docs/api.md")]) == 0
    printed = capsys.readouterr().out.split()
    assert [Path(path).exists() for path in printed] == [True, True, True]
    for kind in KINDS:
        name = crd(kind)["metadata"]["name"]
        assert yaml.safe_load((tmp_path / f"manifests/crds/{name}.yaml").read_text()) == crd(kind)


def test_generate_without_a_folder_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is exit code 2 and the usage."""
    assert main([]) == 2
    assert "python -m kubemr.resources.generate" in capsys.readouterr().err


def test_crd_needs_no_yaml() -> None:
    """The embedded apiserver starts without YAML, kubernetes, asyncio or structlog in memory."""
    code = (
        "import sys; import kubemr.resources as r; r.crd('MapReduceJob'); r.validate({});"
        "print([m for m in ('yaml', 'kubernetes', 'asyncio', 'structlog', 'aiohttp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
