"""A million input files: what the operator needs to list them, deploy the job, move it on and clean up after it.

    make bench-inputs FILES=1000000

The files are listed by a server on loopback that speaks as much of S3 as a listing takes (ListObjectsV2, 1,000 keys a
page) and makes the pages up as it is asked: filling a real store with a million objects would take longer than all of
the measurement.  Operator, etcd and kube-apiserver are real.  Two jobs: each file a task, and small files packed by
`spec.split`; the peak of the operator's memory is compared with that of an operator whose job has a thousand files.
No worker runs: the shards are committed by an administrator, whole, so that the operator finds all tasks done, seals
the stage, finishes the job after its only reduce task, and removes what there was.
Prints a table and writes `build/bench/inputs.json`; exit code 1 when the operator needs more than `LIMIT`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from attrs import frozen

from coordination.jobrun import NAMESPACE, PATIENCE, Operator, deploy_job, until_removed
from coordination.server import Server, memory_of
from figures import write
from kubemr.coordination import names
from kubemr.coordination.job_view import JobView, shard_tasks
from kubemr.locks.effects import JSON_PATCH, Json
from kubemr.tasks.shard import HINT_PATH, SHARDS
from support.faults.following import Following

LIMIT = 128
"""MiB of the operator's memory at its peak, whatever the number of files."""
FEW = 1_000
PAGE = 1_000
SIZE = 20_000
"""Bytes of each file."""
BUCKET = "corpus"


class Listing(BaseHTTPRequestHandler):
    """ListObjectsV2 of a bucket whose prefix `N/` has N files."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """One page."""
        asked = parse_qs(urlsplit(self.path).query)
        prefix = asked["prefix"][0]
        total, first = int(prefix.rstrip("/")), int(asked.get("continuation-token", ["0"])[0])
        if "start-after" in asked:
            first = max(first, int(asked["start-after"][0][-12:-4]) + 1)
        last = min(first + PAGE, total)
        entries = "".join(
            f"<Contents><Key>{prefix}part-{number:08d}.log</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{number:032x}&quot;</ETag><Size>{SIZE}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for number in range(first, last)
        )
        more = f"<NextContinuationToken>{last}</NextContinuationToken>" if last < total else ""
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{prefix}</Prefix><KeyCount>{last - first}</KeyCount>"
            f"<MaxKeys>{PAGE}</MaxKeys><IsTruncated>{str(last < total).lower()}</IsTruncated>"
            f"{entries}{more}</ListBucketResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def listing() -> Iterator[str]:
    """The server's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()


@frozen
class Planned:
    """What became of a job's files."""

    seconds: float
    """From the creation to DEPLOYED."""
    tasks: int
    shards: int
    ended: float
    """From the last task's commit to COMPLETE and to the removal of the job's last child."""
    deploying: float
    """MiB of the operator at its peak, until DEPLOYED."""
    memory: float
    """And until the end."""
    largest: float
    """KiB of the largest object."""


def deploy(server: Server, folder: Path, endpoint: str, files: int, split: dict[str, Any] | None) -> Planned:
    """A job of so many files, by an operator of its own."""
    keys = {
        "KUBEMR_S3_ENDPOINT": endpoint,
        "KUBEMR_S3_ACCESS_KEY_ID": "anybody",
        "KUBEMR_S3_SECRET_ACCESS_KEY": "whatever",
        "KUBEMR_INPUTS_FROM": f"s3://{BUCKET}/",
    }
    operator = Operator(server, folder, environ=keys)
    try:
        spec: dict[str, Any] = {
            "image": "none",
            "replicas": 2,
            "partitions": 1,
            "inputsFrom": [{"prefix": f"s3://{BUCKET}/{files}/"}],
        }
        if split is not None:
            spec["split"] = split
        job, seconds = deploy_job(server, f"inputs-{files}{'-split' if split is not None else ''}", spec)
        deploying = memory_of(operator.daemon.pid) / 1024**2
        commit(server, job, 0, "done")
        largest = server.largest() / 1024
        began = time.monotonic()
        follow(server, job, lambda now: now.stage == "reduce")
        commit(server, job, 1, "empty")
        follow(server, job, lambda now: now.phase == "COMPLETE")
        until_removed(server, job)
        ended = time.monotonic() - began
        memory = memory_of(operator.daemon.pid) / 1024**2
        stage = job.stages[0]
        return Planned(seconds, stage.total, stage.shards, ended, deploying, memory, largest)
    finally:
        operator.stop()


def commit(server: Server, job: JobView, position: int, state: str) -> None:
    """All tasks of a stage, a shard at a time, as if two workers had done it.

    Each has an entry of its own, which is the most that there is to be read: files are not done a shard at a time.
    """
    stage = job.stages[position]
    for number in range(stage.shards):
        text = f"{state}/1/0/0/w{number % 2}-abcdef"
        patch = [
            {"op": "replace", "path": "/tasks", "value": {str(task): text for task in shard_tasks(stage, number)}},
            {"op": "add", "path": HINT_PATH, "value": "done"},
        ]
        path = SHARDS.path(NAMESPACE, job.shard_name(stage, number))
        reply = server.apiserver.request("PATCH", path, patch, JSON_PATCH)
        if reply.status != 200:
            raise RuntimeError(f"the shard {number} was not changed: {reply.body}")


def follow(server: Server, job: JobView, until: Callable[[JobView], bool]) -> None:
    """Wait until the job is so."""

    def happened(jobs: dict[str, Json]) -> bool:
        views = [JobView.of(each) for each in jobs.values()]
        for view in views:
            if view.phase == "FAIL":
                raise RuntimeError(f"the job failed: {view.document['status']['error']}")
        return any(until(view) for view in views)

    with Following(server.apiserver, names.JOBS.path(NAMESPACE), fieldSelector=f"metadata.name={job.name}") as jobs:
        jobs.wait(happened, f"the job {job.name} did not go on", PATIENCE)


def main() -> int:
    """Measure, print, write."""
    files = int(os.environ.get("FILES") or 1_000_000)
    with tempfile.TemporaryDirectory() as name, listing() as endpoint:
        folder = Path(name)
        server = Server(folder / "servers")
        try:
            few = deploy(server, folder / "few", endpoint, FEW, None)
            packed = deploy(server, folder / "packed", endpoint, files, {})
            each = deploy(server, folder / "each", endpoint, files, None)
        finally:
            server.stop()
    results: list[dict[str, Any]] = []
    for what, planned in ((f"{FEW} files", few), (f"{files} files, packed", packed), (f"{files} files", each)):
        figures = (
            ("deployed after", planned.seconds, "s"),
            ("tasks", planned.tasks, ""),
            ("shards", planned.shards, ""),
            ("sealed, finished and removed after", planned.ended, "s"),
            ("operator memory, peak until deployed", planned.deploying, "MiB"),
            ("operator memory, peak", planned.memory, "MiB"),
            ("largest object", planned.largest, "KiB"),
        )
        results += [
            {"name": f"{what}: {figure}", "value": round(value, 1), "unit": unit} for figure, value, unit in figures
        ]
    results.append(
        {
            "name": f"operator memory with {files} files",
            "value": round(each.memory, 1),
            "unit": "MiB",
            "peer": f"the operator with {FEW} files",
            "peer_value": round(few.memory, 1),
            "ratio": round(each.memory / few.memory, 2),
        }
    )
    write("inputs", results)
    for result in results:
        print(f"{result['name']:50} {result['value']:>12,} {result['unit']}")
    most = max(packed.memory, each.memory)
    print(f"{most:.0f} MiB at most, {LIMIT} are allowed; {each.memory / few.memory:.2f} times that with {FEW} files")
    return 0 if most <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
