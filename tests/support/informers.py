"""What the informer's tests share: objects, lists, and a handler that records the changes it receives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

from kubemr.controller.client import Client
from kubemr.controller.informer import Informer, Object
from kubemr.locks.effects import Resource
from support.fakeserver import Received

PODS = Resource("", "v1", "pods")


def pod(name: str, version: int, uid: str = "", **metadata: Any) -> Object:
    """Return a pod in the namespace `ns`; its uid is made from its name."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "ns",
            "name": name,
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            **metadata,
        },
    }


def pods(version: int, *items: Object, token: str = "") -> dict[str, Any]:
    """Return a list of pods, without kind and apiVersion in its items, as the apiserver returns it."""
    bare = [{name: value for name, value in item.items() if name not in ("kind", "apiVersion")} for item in items]
    metadata = {"resourceVersion": str(version), **({"continue": token} if token else {})}
    return {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": bare}


def bookmark(version: int, *, ends_list: bool = False) -> tuple[str, Object]:
    """Return a BOOKMARK event."""
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if ends_list:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return "BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": metadata}


@define
class Recorder:
    """Record one short string for each change, and take `wait` seconds over each."""

    wait: float = 0.0
    changes: list[str] = field(factory=list)
    times: list[float] = field(factory=list)

    async def added(self, obj: Object, *, initial: bool) -> None:
        """Record `+name@version`, with `!` when initial."""
        await self._record(f"+{_brief(obj)}{'!' if initial else ''}")

    async def updated(self, old: Object, new: Object) -> None:
        """Record `old>new`."""
        await self._record(f"{_brief(old)}>{_brief(new)}")

    async def deleted(self, obj: Object, *, tombstone: bool) -> None:
        """Record `-name@version`, with `?` for a tombstone."""
        await self._record(f"-{_brief(obj)}{'?' if tombstone else ''}")

    async def _record(self, what: str) -> None:
        self.changes.append(what)
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.wait)


def _brief(obj: Object) -> str:
    return f"{obj['metadata']['name']}@{obj['metadata']['resourceVersion']}"


@asynccontextmanager
async def running(client: Client, **options: Any) -> AsyncIterator[tuple[Informer, Recorder]]:
    """Run an informer of pods with a recorder, without jitter: each wait is the whole ceiling."""
    options = {"streaming": False, "uniform": lambda: 1.0, **options}
    informer = Informer(client, PODS, "ns", **options)
    recorder = Recorder()
    informer.add_handler(recorder)
    task = asyncio.create_task(informer.run())
    try:
        yield informer, recorder
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(condition: Callable[[], object], seconds: float = 1000.0) -> None:
    """Return when `condition()` holds; it is checked after steps of 10 ms that double up to 5 s."""
    step = 0.01
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(step)
            step = min(5.0, step * 2)


def versions(requests: list[Received]) -> list[str]:
    """Return each request as `list@version` or `watch@version`; a consistent list is `list@`."""
    return [f"{'watch' if r.is_watch else 'list'}@{r.query.get('resourceVersion', '')}" for r in requests]
