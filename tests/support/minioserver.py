"""A real S3 server for tests: MinIO on a loopback port, with a folder of its own."""

from __future__ import annotations

import os
import shutil
import urllib.request
from pathlib import Path

from support.binaries import MINIO
from support.daemon import Daemon, free_port, start_on_free_ports


class MinioServer:
    """One MinIO.  `endpoint` is `http://<address>:<port>`; the keys are the administrator's, and no bucket exists."""

    access_key = "kubemr-test"
    secret_key = "kubemr-test-secret"
    region = "us-east-1"

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self._address = address
        self._data = folder / "minio-data"
        self.endpoint = ""
        folder.mkdir(parents=True, exist_ok=True)
        self.daemon = start_on_free_ports(lambda: self._start(folder))

    def _start(self, folder: Path) -> Daemon:
        address, console = f"{self._address}:{free_port(self._address)}", f"127.0.0.1:{free_port()}"
        self.endpoint = f"http://{address}"
        environment = os.environ | {
            "HOME": str(folder),
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_REGION": self.region,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        command = [
            str(MINIO.path()),
            "server",
            "--quiet",
            f"--address={address}",
            f"--console-address={console}",
            f"--certs-dir={folder / 'minio-certificates'}",
            str(self._data),
        ]
        return Daemon("minio", command, folder / "minio.log", environment).wait_ready(self.ready)

    def ready(self) -> bool:
        """Whether it serves requests."""
        try:
            with urllib.request.urlopen(f"{self.endpoint}/minio/health/cluster", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        """End it and remove its data; the log stays."""
        self.daemon.stop()
        shutil.rmtree(self._data, ignore_errors=True)
