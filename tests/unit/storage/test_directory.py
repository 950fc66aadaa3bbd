"""What is particular to a directory as a store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kubemr.storage import DirectoryStore, InvalidKeyError, ObjectInfo, StorageError


def test_an_object_cannot_be_a_folder(directory_store: DirectoryStore) -> None:
    """Nor the other way round: the key is at fault, and nothing changes."""
    directory_store.put("a", b"object")
    directory_store.put("folder/b", b"object")
    for key in ("a/b", "a/b/c"):
        with pytest.raises(InvalidKeyError, match="part of its path is an object"):
            directory_store.put(key, b"x")
    with pytest.raises(InvalidKeyError, match="it is a folder"):
        directory_store.put("folder", b"x")
    assert [item.key for item in directory_store.list("")] == ["a", "folder/b"]
    assert sorted(os.listdir(directory_store.root)) == ["a", "folder"]


def test_empty_folders_go_with_their_last_object(directory_store: DirectoryStore) -> None:
    """Up to the root, which stays."""
    directory_store.put("a/b/c/d", b"")
    directory_store.put("a/e", b"")
    directory_store.delete("a/b/c/d")
    assert os.listdir(os.path.join(directory_store.root, "a")) == ["e"]
    directory_store.delete("a/e")
    assert os.listdir(directory_store.root) == []


def test_folders_of_a_failed_write_go_too(directory_store: DirectoryStore) -> None:
    """It leaves the directory as it was."""
    directory_store.check()
    with pytest.raises(RuntimeError), directory_store.writer("a/b/c"):
        raise RuntimeError
    assert os.listdir(directory_store.root) == []


def test_deleting_a_prefix_fails_its_writers(directory_store: DirectoryStore) -> None:
    """What they write would otherwise come back after the job is gone."""
    with (  # noqa: PT012
        pytest.raises(StorageError, match="was removed while it was being written"),
        directory_store.writer("job/k") as stream,
    ):
        stream.write(b"x")
        assert directory_store.delete_prefix("job") == 0
    assert os.listdir(directory_store.root) == []


def test_a_reader_keeps_what_it_opened(directory_store: DirectoryStore) -> None:
    """Even if another process replaces or deletes the object during the read."""
    directory_store.put("k", b"old")
    with directory_store.reader("k") as first:
        directory_store.put("k", b"new")
        with directory_store.reader("k") as second:
            directory_store.delete("k")
            assert (first.read(), second.read()) == (b"old", b"new")


def test_links_to_folders_are_not_followed(directory_store: DirectoryStore, tmp_path: Path) -> None:
    """Deleting never leaves the directory; a link to a file is an object."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    directory_store.put("job/k", b"x")
    root = Path(directory_store.root)
    (root / "job" / "folder").symlink_to(outside)
    (root / "job" / "file").symlink_to(outside / "precious")
    (root / "linked").symlink_to(outside)
    assert [item.key for item in directory_store.list("")] == ["job/file", "job/k"]
    assert directory_store.delete_prefix("linked") == 0
    directory_store.delete_prefix("job")
    assert (outside / "precious").read_text() == "x"


def test_files_of_others_are_listed_whatever_their_names(directory_store: DirectoryStore) -> None:
    """Hidden files are objects; what is no file is not."""
    directory_store.check()
    root = Path(directory_store.root)
    (root / ".hidden").write_text("x")
    os.mkfifo(root / "pipe")
    assert list(directory_store.list("")) == [ObjectInfo(".hidden", 1)]


def test_check_makes_the_directory(tmp_path: Path) -> None:
    """And says what is in its way."""
    store = DirectoryStore(tmp_path / "a" / "b")
    store.check()
    assert os.listdir(store.root) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="not a directory"):
        DirectoryStore(tmp_path / "file").check()
    with pytest.raises(StorageError, match="not a directory"):
        DirectoryStore(tmp_path / "file" / "below").check()


def test_a_directory_that_refuses_is_told(tmp_path: Path) -> None:
    """`AccessDeniedError` names the mode and the owner as what to check; root runs it as user 65534."""
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "secret").write_text("x")
    (locked / "secret").chmod(0)
    locked.chmod(0o500)
    script = """
import os, sys
from kubemr.storage import AccessDeniedError, DirectoryStore
store = DirectoryStore(sys.argv[1])
if os.geteuid() == 0:
    os.chown(sys.argv[1], 65534, 65534)
    os.chown(sys.argv[1] + "/secret", 65534, 65534)
    # Folders above may be closed to others: stay inside.
    os.chdir(sys.argv[1])
    store.root = "."
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
operations = store.check, lambda: store.put("k", b""), lambda: store.get("secret"), lambda: store.delete("secret")
for operation in operations:
    try:
        operation()
    except AccessDeniedError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script, str(locked)], capture_output=True, text=True, check=True)
    locked.chmod(0o700)
    printed = done.stdout.splitlines()
    assert [line.split(" in ")[0] for line in printed] == ["check", "put 'k'", "get 'secret'", "delete 'secret'"]
    assert all("Permission denied (EACCES); check the owner and the mode" in line for line in printed)


def test_durable_objects_are_the_same_objects(tmp_path: Path) -> None:
    """Flushed to the disk before they appear; nothing else differs, streams that were closed included."""
    store = DirectoryStore(tmp_path, durable=True)
    store.put("a/b", b"x" * 1000)
    with store.writer("a/c") as stream:
        stream.write(b"y")
        stream.close()
    assert list(store.list("")) == [ObjectInfo("a/b", 1000), ObjectInfo("a/c", 1)]


def test_addresses_are_quoted(tmp_path: Path) -> None:
    """So that every program that knows file addresses finds the file."""
    store = DirectoryStore(tmp_path / "with space")
    assert store.url("a b/ü%") == f"file://{tmp_path}/with%20space/a%20b/%C3%BC%25"
