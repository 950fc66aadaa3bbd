"""The real etcd and kube-apiserver of a measurement, with kubemr's manifests, and what they have spent so far."""

from __future__ import annotations

import base64
import json
import os
import re
import urllib.request
from pathlib import Path

from attrs import frozen

from coordination import history
from support.accounts import install, until
from support.binaries import KUBE
from support.controlplane import ControlPlane

TICKS = os.sysconf("SC_CLK_TCK")
QUOTA = 2 * 1024**3
"""etcd's default for `--quota-backend-bytes`."""


@frozen
class Spent:
    """What the servers have used since they were started, and what they were asked."""

    cpu: float
    """Seconds of CPU of both."""
    wal: float
    """Bytes that etcd has appended to its log."""
    shard_patches: float
    lost: float
    """Patches of shards whose `test` failed."""
    job_patches: float

    def since(self, before: Spent) -> Spent:
        """The difference."""
        return Spent(
            self.cpu - before.cpu,
            self.wal - before.wal,
            self.shard_patches - before.shard_patches,
            self.lost - before.lost,
            self.job_patches - before.job_patches,
        )


class Server:
    """Both servers on loopback ports; `flags` are for kube-apiserver."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._plane = ControlPlane(folder, *flags)
        self.apiserver = self._plane.apiserver
        try:
            install(self.apiserver, KUBE.path("kubectl"))
            until(self._namespace_is_there)
        except BaseException:
            self.stop()
            raise

    def _namespace_is_there(self) -> bool:
        return self.apiserver.request("GET", "/api/v1/namespaces/kubemr").status == 200

    def spent(self) -> Spent:
        """As of now."""
        etcd = self._etcd_metrics()
        asked = self._requests()
        shards = {code: count for (plural, code), count in asked.items() if plural == "mapreducetaskshards"}
        return Spent(
            cpu=self.cpu(),
            wal=_sum(etcd, "etcd_disk_wal_write_bytes_total"),
            shard_patches=shards.get("200", 0.0),
            lost=sum(count for code, count in shards.items() if code in ("409", "422")),
            job_patches=sum(
                count for (plural, code), count in asked.items() if plural == "mapreducejobs" and code == "200"
            ),
        )

    def cpu(self) -> float:
        """Seconds of CPU that both have used."""
        return cpu_of(self.apiserver.daemon.pid) + cpu_of(self._plane.etcd.daemon.pid)

    def database(self) -> float:
        """Bytes of etcd's file, with what compaction and defragmentation would free."""
        return _sum(self._etcd_metrics(), "etcd_mvcc_db_total_size_in_bytes")

    def revision(self) -> int:
        """How many times etcd was written to so far."""
        return history.revision(self._plane.etcd.url)

    def largest_since(self, revision: int, namespace: str) -> int:
        """Bytes of the largest object that has been in that namespace since that revision, whatever became of it."""
        found = history.sizes(self._plane.etcd.url, revision)
        return max((size for key, size in found if f"/{namespace}/" in key), default=0)

    def largest(self) -> int:
        """Bytes of the largest of kubemr's objects that are there now, as it is stored."""
        first, end = (
            base64.b64encode(key).decode() for key in (b"/registry/turbobytes.com/", b"/registry/turbobytes.com0")
        )
        question = json.dumps({"key": first, "range_end": end}).encode()
        request = urllib.request.Request(f"{self._plane.etcd.url}/v3/kv/range", question)
        with urllib.request.urlopen(request, timeout=120) as answer:
            found = json.load(answer).get("kvs") or []
        return max((len(base64.b64decode(each["value"])) for each in found), default=0)

    def stop(self) -> None:
        """End both."""
        self._plane.stop()

    def _etcd_metrics(self) -> list[str]:
        with urllib.request.urlopen(f"{self._plane.etcd.url}/metrics", timeout=30) as answer:
            text: str = answer.read().decode()
        return text.splitlines()

    def _requests(self) -> dict[tuple[str, str], float]:
        """How many patches of kubemr's objects were answered, by kind and status code."""
        found: dict[tuple[str, str], float] = {}
        text: str = self.apiserver.request("GET", "/metrics").body
        for line in text.splitlines():
            if line.startswith("apiserver_request_total{") and 'verb="PATCH"' in line and "turbobytes.com" in line:
                labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
                key = (labels["resource"], labels["code"])
                found[key] = found.get(key, 0.0) + float(line.rsplit(" ", 1)[1])
        return found


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_of(pid: int) -> int:
    """Bytes of memory that a process has had at most."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024  # type: ignore[index]  # every process has it


def _sum(lines: list[str], name: str) -> float:
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}(\{{| )", line))
