"""Every change of a kind's objects from a moment on, as the apiserver tells them: no state in between is missed."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from kubemr.coordination import names
from support.cluster_access import ClusterAccess

Found = TypeVar("Found")


@dataclass(frozen=True)
class Change:
    """One event of a watch: `type` is ADDED, MODIFIED or DELETED; `seen` is this machine's monotonic clock."""

    type: str
    object: Any
    seen: float


class Watch:
    """Follows what lies at `path` (a list's, as `/api/v1/namespaces/x/pods`), from entering the block to leaving it."""

    def __init__(self, cluster: ClusterAccess, path: str, selector: str = "") -> None:
        self._cluster, self._path, self._selector = cluster, path, selector
        self._changes: list[Change] = []
        self._news = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        listed = json.loads(self._cluster.kubectl("get", "--raw", f"{self._path}?limit=1"))
        query = f"watch=1&resourceVersion={listed['metadata']['resourceVersion']}&timeoutSeconds=3600"
        if self._selector:
            query += f"&labelSelector={self._selector}"
        program = [str(self._cluster.kubectl_program), "--kubeconfig", str(self._cluster.kubeconfig)]
        self._process = subprocess.Popen(
            [*program, "get", "--raw", f"{self._path}?{query}"], stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._reader is not None
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            with self._news:
                self._changes.append(Change(event["type"], event["object"], time.monotonic()))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def changes(self) -> Sequence[Change]:
        """All so far."""
        with self._news:
            return list(self._changes)

    def wait(self, found: Callable[[Sequence[Change]], Found | None], what: str, seconds: float) -> Found:
        """What `found` finds in all changes so far, asked again with each new one; AssertionError after `seconds`."""
        end = time.monotonic() + seconds
        with self._news:
            while True:
                answer = found(self._changes)
                if answer is not None and answer is not False:
                    return answer
                left = end - time.monotonic()
                assert left > 0, f"{what}: not within {seconds:g} s; the last change: {self._changes[-1:]}"
                self._news.wait(left)


def created(changes: Sequence[Change]) -> Counter[str]:
    """How often an object was created, by the uid of the job that its label names."""
    return Counter(change.object["metadata"]["labels"][names.LABEL_UID] for change in changes if change.type == "ADDED")


def phases(changes: Sequence[Change], uid: str) -> list[str]:
    """The phases that a job went through, each as often as it was entered; "" is none yet."""
    entered: list[str] = []
    for change in changes:
        if change.object["metadata"].get("uid") == uid:
            phase = (change.object.get("status") or {}).get("phase", "")
            if entered[-1:] != [phase]:
                entered.append(phase)
    return entered
