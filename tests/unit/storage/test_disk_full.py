"""A directory that cannot take more: the error says so, and nothing half-written stays."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubemr.storage import DirectoryStore, ObjectInfo, StorageFullError
from support.left_out import leave_out

SCRIPT = """
import os, sys
from kubemr.storage import DirectoryStore, ObjectInfo, StorageFullError
root = sys.argv[1]
store = DirectoryStore(root)
store.put("small", b"x" * 1000)
for attempt in range(3):
    try:
        if attempt == 0:
            store.put("folder/big", b"x" * 5_000_000)
        elif attempt == 1:
            with store.writer("folder/big") as stream:
                for _ in range(5000):
                    stream.write(b"x" * 1000)
        else:
            store.put("small", b"y" * 5_000_000)
    except StorageFullError as error:
        print(error)
    else:
        sys.exit("it was not full")
    assert os.listdir(root) == ["small"], os.listdir(root)
    assert store.get("small") == b"x" * 1000
store.put("other", b"x" * 500_000)
"""


def test_a_full_file_system_is_told(tmp_path: Path) -> None:
    """On a real one of 1 MiB, mounted for this process alone: three errors, and room again after each."""
    mount = f'mount -t tmpfs -o size=1m tmpfs {tmp_path} && exec "$@"'
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*own, "sh", "-c", mount, "sh", sys.executable, "-c", ""], capture_output=True).returncode
    ):
        leave_out("a separate mount", "run as root, or allow user namespaces")
    done = subprocess.run(
        [*own, "sh", "-c", mount, "sh", sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert [line.split(" in ")[0] for line in printed] == ["put 'folder/big'", "writer 'folder/big'", "put 'small'"]
    assert all("No space left on device (ENOSPC); make room" in line for line in printed)


@pytest.fixture
def limit() -> Iterator[int]:
    """No file may grow beyond this size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield 1_000_000
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_limit_on_files_is_told(directory_store: DirectoryStore, limit: int) -> None:
    """The kernel refuses in the middle of a write: the former object stays and nothing else."""
    directory_store.put("k", b"old")
    with pytest.raises(StorageFullError, match="EFBIG"):
        directory_store.put("k", b"x" * (limit + 1))
    with pytest.raises(StorageFullError, match="EFBIG"), directory_store.writer("a/b") as stream:  # noqa: PT012
        for _ in range(limit // 1000 + 1):
            stream.write(b"x" * 1000)
    assert list(directory_store.list("")) == [ObjectInfo("k", 3)]
    assert os.listdir(directory_store.root) == ["k"]
