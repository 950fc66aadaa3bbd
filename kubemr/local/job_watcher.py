"""Watch one job, its shards and its ConfigMap from threads, and emit an event for each change."""

from __future__ import annotations

import threading
from collections.abc import Callable

from attrs import frozen

from kubemr.coordination import names
from kubemr.coordination.kinds import CONFIG_MAPS
from kubemr.local.list_watch import Listed, follow
from kubemr.locks.config import Server
from kubemr.locks.effects import Json, Resource
from kubemr.locks.threads import Stop
from kubemr.tasks.shard import SHARDS


@frozen
class JobSeen:
    """The job was created or changed."""

    document: Json


@frozen
class JobGone:
    """The job was deleted."""


@frozen
class ShardSeen:
    """A shard of the job was created or changed."""

    document: Json


@frozen
class SettingsGone:
    """The job's ConfigMap was deleted, which is the operator's last step for a finished job."""


@frozen
class WatchFailed:
    """The job cannot be watched any more."""

    error: Exception


JobEvent = JobSeen | JobGone | ShardSeen | SettingsGone | WatchFailed


class JobWatcher:
    """Calls `emit` with all events of one job, from three threads, until `stop`."""

    def __init__(self, server: Server, job: Json, emit: Callable[[JobEvent], None]) -> None:
        metadata = job["metadata"]
        self._server = server
        self._emit = emit
        self._namespace = metadata["namespace"]
        self._stop = Stop()
        job_selector = names.selector(metadata["uid"])
        self._threads = [
            self._thread(names.JOBS, self._job, field_selector=f"metadata.name={metadata['name']}"),
            self._thread(SHARDS, self._shard, label_selector=job_selector),
            self._thread(CONFIG_MAPS, self._settings, label_selector=job_selector),
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the threads, and wait for their end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _thread(
        self,
        resource: Resource,
        each: Callable[[str, Json], None],
        label_selector: str = "",
        field_selector: str = "",
    ) -> threading.Thread:
        def run() -> None:
            try:
                for event in follow(
                    self._server,
                    resource,
                    self._namespace,
                    self._stop,
                    label_selector=label_selector,
                    field_selector=field_selector,
                ):
                    if isinstance(event, Listed):
                        for item in event.items:
                            each("ADDED", item)
                    else:
                        each(event.type, event.object)
            except Exception as error:
                self._emit(WatchFailed(error))

        return threading.Thread(target=run, name=f"follow-{resource.plural}", daemon=True)

    def _job(self, kind: str, document: Json) -> None:
        self._emit(JobGone() if kind == "DELETED" else JobSeen(document))

    def _shard(self, kind: str, document: Json) -> None:
        if kind != "DELETED":
            self._emit(ShardSeen(document))

    def _settings(self, kind: str, document: Json) -> None:
        if kind == "DELETED":
            self._emit(SettingsGone())
