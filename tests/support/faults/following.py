"""Objects of one kind as they are now, and every change that the apiserver tells, across its own death.

Unlike `kubectl get --watch` it goes on where it was when the apiserver is back.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode, urlsplit

from support.controlplane import ApiServer

RETRY_SECONDS = 0.2
QUIET_SECONDS = 30.0
"""The longest silence of a watch before it is asked for anew."""

Found = TypeVar("Found")


class Following:
    """Follows the list at `path` (`/api/v1/namespaces/x/pods`) from entering the block to leaving it.

    `note` is called with each object that is new or has changed, in the thread that follows.
    """

    def __init__(
        self, apiserver: ApiServer, path: str, note: Callable[[Any], None] = lambda _: None, **selector: str
    ) -> None:
        self._apiserver, self._path, self._note, self._selector = apiserver, path, note, selector
        self._tls = ssl.create_default_context(cafile=str(apiserver.ca_file))
        self._objects: dict[str, Any] = {}
        self._news = threading.Condition()
        self._ended = threading.Event()
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._follow, name=f"follows {path}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()

    @property
    def objects(self) -> dict[str, Any]:
        """By name, as seen last."""
        with self._news:
            return dict(self._objects)

    def wait(self, found: Callable[[dict[str, Any]], Found | None], what: str, seconds: float) -> Found:
        """What `found` finds in the objects; AssertionError after `seconds`.

        It is asked with each change, and twice a second, since it may look at other things besides.
        """
        end = time.monotonic() + seconds
        with self._news:
            while True:
                answer = found(self._objects)
                if answer is not None and answer is not False:
                    return answer
                left = end - time.monotonic()
                assert self._problem is None, f"{what}: {self._problem}"
                assert left > 0, f"{what}: not within {seconds:g} s"
                self._news.wait(min(left, 0.5))

    def _follow(self) -> None:
        version: str | None = None
        while not self._ended.is_set():
            try:
                if version is None:
                    version = self._list()
                version = self._watch(version)
            except (OSError, http.client.HTTPException, _Unavailable):
                self._ended.wait(RETRY_SECONDS)
            except Exception as problem:
                with self._news:
                    self._problem = problem
                    self._news.notify_all()
                raise

    def _list(self) -> str:
        connection, answer = self._ask({})
        try:
            listed = json.loads(answer.read())
        finally:
            connection.close()
        with self._news:
            known, self._objects = self._objects, {item["metadata"]["name"]: item for item in listed["items"]}
            for name, item in self._objects.items():
                if (
                    known.get(name, {}).get("metadata", {}).get("resourceVersion")
                    != item["metadata"]["resourceVersion"]
                ):
                    self._note(item)
            self._news.notify_all()
        return str(listed["metadata"]["resourceVersion"])

    def _watch(self, version: str | None) -> str | None:
        query = {"watch": "1", "resourceVersion": version or "", "timeoutSeconds": f"{QUIET_SECONDS / 2:.0f}"}
        connection, answer = self._ask(query)
        try:
            while not self._ended.is_set() and (line := answer.readline()).endswith(b"\n"):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return None  # too old a version: list again
                item = event["object"]
                version = _version(item)
                with self._news:
                    if event["type"] == "DELETED":
                        self._objects.pop(item["metadata"]["name"], None)
                    else:
                        self._objects[item["metadata"]["name"]] = item
                        self._note(item)
                    self._news.notify_all()
            return version
        except (OSError, http.client.HTTPException):
            return version
        finally:
            connection.close()

    def _ask(self, query: dict[str, str]) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        address = urlsplit(self._apiserver.url).netloc
        connection = http.client.HTTPSConnection(address, context=self._tls, timeout=QUIET_SECONDS)
        path = f"{self._path}?{urlencode({**self._selector, **query})}"
        connection.request("GET", path, headers={"Authorization": f"Bearer {self._apiserver.token}"})
        answer = connection.getresponse()
        if answer.status == 410 or answer.status >= 500 or answer.status in (401, 403, 429):
            connection.close()  # an apiserver that has just started refuses some for a moment
            raise _Unavailable
        assert answer.status == 200, f"{path}: HTTP {answer.status}: {answer.read()[:300]!r}"
        return connection, answer


def _version(item: Any) -> str:
    return str(item["metadata"]["resourceVersion"])


class _Unavailable(Exception):
    """The apiserver answers, and not with what was asked for."""
