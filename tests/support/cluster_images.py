"""The project's own images: `make images` builds them and writes each to an archive too."""

from __future__ import annotations

import os
from pathlib import Path

from support.binaries import cache

PREFIX = os.environ.get("KUBEMR_E2E_IMAGE_PREFIX", "localhost/kubemr")
"""What their names begin with, where pods ask for them."""


def archive(name: str) -> Path:
    """Where `make images` leaves an image's archive: `operator`, `worker`, `wordcount` or `wordcount-go`."""
    return cache().parent / "images" / f"{name}.tar"
