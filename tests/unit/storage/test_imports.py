"""Importing the storage layer costs little until an S3 library is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kubemr.storage

HEAVY = ("minio", "urllib3", "kubernetes", "asyncio", "aiohttp", "structlog", "certifi")

PROGRAM = """
import sys
{code}
print(*(name for name in {heavy!r} if name in sys.modules))
"""


@pytest.mark.parametrize(
    "code",
    [
        "import kubemr.storage",
        "from kubemr.storage import DirectoryStore, ObjectStore, StorageError, Retrier, HttpStore, S3Settings",
        "from kubemr.storage import fetch, open_input, store_from_environment",
        "from kubemr.storage import open_store; s = open_store('/tmp'); s.stat('nothing-of-that-name')",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    """Neither by the package nor by what a local worker uses of it."""
    program = PROGRAM.format(code=code, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_public_name_is_there() -> None:
    """Lazily, and completion in a shell sees them."""
    for name in kubemr.storage.__all__:
        assert getattr(kubemr.storage, name).__name__ == name
        assert name in dir(kubemr.storage)
    name = "nothing"
    with pytest.raises(AttributeError, match="it exports AccessDeniedError"):
        getattr(kubemr.storage, name)
