"""The bearer token, which is read again when its file changes.

Kubernetes replaces a pod's token about hourly, by changing a symbolic link; the old token stays valid for a while.
So one `stat` per request is enough, and after a failed read the old token is used.
"""

from __future__ import annotations

import os
import threading

from kubemr.locks.config import ConfigError, File


class Bearer:
    """The token to send: from the file if there is one, else the fixed token, else none.

    The constructor raises `ConfigError` if the file cannot be read.
    """

    def __init__(self, token: str | None, file: File | None) -> None:
        self._token = token
        self._file = file
        self._lock = threading.Lock()
        # The version of the content that was read: device, inode, time of change, size.
        self._read_at: tuple[int, ...] | None = None
        if file is not None:
            try:
                self._reread(file)
            except OSError as problem:
                raise ConfigError(f"token file {file}: {problem}; name a readable file") from problem

    def token(self) -> str | None:
        """Return the current token, or None if there is none."""
        if self._file is not None:
            try:
                self._reread(self._file)
            except OSError:
                return self._token  # The file is being replaced, and the old token is still valid.
        return self._token

    def _reread(self, file: File) -> None:
        stat = os.stat(file)
        version = (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)
        with self._lock:
            if version != self._read_at:
                with open(file) as content:
                    self._token = content.read().strip()
                self._read_at = version
