"""The bearer token, re-read when its file changes.

Kubernetes rotates a pod's token by swapping a symbolic link, about hourly; the old one stays valid for a
while.  So one `stat` per request is enough, and a read that fails in between keeps the old token.
"""

from __future__ import annotations

import os
import threading

from kubemr.locks.config import ConfigError, File


class Bearer:
    """Gives the token to send: the file's when there is a file, else the fixed one, else none.

    Raises `ConfigError` when the file cannot be read at the start.
    """

    def __init__(self, token: str | None, file: File | None) -> None:
        self._token = token
        self._file = file
        self._lock = threading.Lock()
        # What identifies the content that was read: device, inode, time of change, size.
        self._read_at: tuple[int, ...] | None = None
        if file is not None:
            try:
                self._reread(file)
            except OSError as problem:
                raise ConfigError(f"token file {file}: {problem}; name a readable file") from problem

    def token(self) -> str | None:
        """The token as of now."""
        if self._file is not None:
            try:
                self._reread(self._file)
            except OSError:
                return self._token  # in the middle of a rotation: the old one is still good
        return self._token

    def _reread(self, file: File) -> None:
        stat = os.stat(file)
        version = (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)
        with self._lock:
            if version != self._read_at:
                with open(file) as content:
                    self._token = content.read().strip()
                self._read_at = version
