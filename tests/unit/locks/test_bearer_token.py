"""The bearer token follows its file."""

from __future__ import annotations

from pathlib import Path

from kubemr.locks.bearer_token import Bearer


def test_a_rotated_token_is_read_again(tmp_path: Path) -> None:
    """Kubernetes swaps a symbolic link; the next request sends the new token."""
    (tmp_path / "1").write_text("one\n")
    (tmp_path / "2").write_text("two\n")
    link = tmp_path / "token"
    link.symlink_to("1")
    bearer = Bearer(None, link)
    assert bearer.token() == "one"
    (tmp_path / "next").symlink_to("2")
    (tmp_path / "next").rename(link)
    assert bearer.token() == "two"


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    """What stands in it was read at the start."""
    file = tmp_path / "token"
    file.write_text("one")
    bearer = Bearer(None, file)
    file.chmod(0)
    assert bearer.token() == "one"


def test_a_file_that_is_away_leaves_the_old_token(tmp_path: Path) -> None:
    """In the middle of a rotation."""
    file = tmp_path / "token"
    file.write_text("one")
    bearer = Bearer("fixed", file)
    file.unlink()
    assert bearer.token() == "one"


def test_without_a_file() -> None:
    """The fixed token, or none."""
    assert Bearer("fixed", None).token() == "fixed"
    assert Bearer(None, None).token() is None
