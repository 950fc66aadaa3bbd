"""Manifests are read from files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from kubemr.cli.manifest import ManifestError, load


def test_one_document(tmp_path: Path) -> None:
    """YAML and JSON are read; empty documents around it do not count; a date stays a string."""
    path = tmp_path / "job.yaml"
    path.write_text("---\na: 2026-01-31\nb: [1, yes]\n---\n")
    assert load(str(path)) == {"a": "2026-01-31", "b": [1, True]}
    path.write_text('{"a": 1}')
    assert load(str(path)) == {"a": 1}


def test_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` is stdin."""
    monkeypatch.setattr("sys.stdin", io.StringIO("a: 1"))
    assert load("-") == {"a": 1}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "holds no document; give one MapReduceJob per file"),
        (b"a: 1\n---\nb: 2\n", "holds 2 documents; give one MapReduceJob per file"),
        (b"a: [", "is not YAML"),
        (b"a: \xff", "is not UTF-8 text"),
        (b"a: !!python/object:os.system {}", "is not YAML"),
    ],
)
def test_what_is_no_manifest(tmp_path: Path, content: bytes, error: str) -> None:
    """The error names the file and the remedy."""
    path = tmp_path / "job.yaml"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=error) as raised:
        load(str(path))
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there() -> None:
    """The error names the file and contains the system's message."""
    with pytest.raises(ManifestError, match=r"/nonexistent/job\.yaml: cannot be read: No such file"):
        load("/nonexistent/job.yaml")
