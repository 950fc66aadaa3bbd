"""Building a server: what is missing is named with its remedy, and a cached server needs no Go."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.binaries import ETCD, KUBE, REQUIRE_VERSIONS, BuildError, build, cache, main


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBEMR_CACHE", str(tmp_path / "cache"))


def put_go(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program named go first, and alone, in PATH."""
    folder.mkdir()
    go = folder / "go"
    go.write_text(f"#!/bin/sh\n{script}\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_an_old_go_is_refused_with_both_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go before 1.21 would only complain about the syntax of go.mod."""
    put_go(tmp_path / "bin", monkeypatch, "echo go version go1.19.8 linux/amd64")
    with pytest.raises(BuildError, match=r"(?s)too old: Go 1\.26\.0 or newer.*go1\.19\.8.*https://go\.dev/dl/"):
        build(ETCD)


def test_a_build_that_fails_leaves_nothing_that_looks_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a program appears whole or not at all."""
    script = 'if [ "$1" = version ]; then echo go version go1.26.0 linux/amd64; else exit 1; fi'
    put_go(tmp_path / "bin", monkeypatch, script)
    with pytest.raises(BuildError, match="building kube"):
        build(KUBE)
    assert not KUBE.is_built()
    assert [entry.name for entry in (tmp_path / "cache" / "bin").iterdir()] == [".lock"]


def test_a_cached_program_needs_no_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that was filled elsewhere serves a machine without Go."""
    ETCD.folder.mkdir(parents=True)
    ETCD.path().touch()
    monkeypatch.setenv("PATH", "")
    assert build(ETCD) == ETCD.folder


def test_a_program_is_found_by_each_of_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The multi-call binary is linked under the name of every program in it."""
    script = (
        'if [ "$1" = version ]; then echo go version go1.27.0 linux/amd64; exit; fi\n'
        'while [ "$1" != -o ]; do shift; done; echo > "$2"'
    )
    put_go(tmp_path / "bin", monkeypatch, script)
    folder = build(KUBE)
    assert all(KUBE.path(name).resolve() == folder / "kube" for name in KUBE.links)
    assert "go1.27.0" in (folder / "BUILD.txt").read_text()


def test_versions_that_are_not_built_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """`make test-versions` runs on those that are built; the version for everything does not stand for another one."""
    KUBE.folder.mkdir(parents=True)
    (cache() / "kube-1.37-of-another-recipe").mkdir()
    assert main(["--built", "1.34", "1.36", "1.37"]) == 0
    said = capsys.readouterr()
    assert said.out.split() == ["1.36"]
    named = [line.split("(")[0].strip() for line in said.err.splitlines()]
    remedy = "is not built: run `make controlplane-versions`"
    assert named == [f"left out: Kubernetes {minor} {remedy}" for minor in ("1.34", "1.37")]


def test_versions_may_be_required(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Then one that is not built is an error, named as well."""
    monkeypatch.setenv(REQUIRE_VERSIONS, "1")
    KUBE.folder.mkdir(parents=True)
    assert main(["--built", "1.36"]) == 0
    assert main(["--built", "1.34", "1.36"]) == 1
    assert "KUBEMR_REQUIRE_VERSIONS=1: Kubernetes 1.34 is not built" in capsys.readouterr().err
