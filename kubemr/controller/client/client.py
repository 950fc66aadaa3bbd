"""The asyncio transport: it sends the effects `Request` and `Watch`, and opens watch streams.

`send` never raises for an HTTP or network error, and never repeats a request: every outcome is an `Answer`.
`sent=False` is set only if no connection was made, so that the apiserver cannot have written anything.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final
from urllib.parse import quote, urlencode

import aiohttp
import yarl

from kubemr.controller.client.connection import Connection
from kubemr.controller.client.watch_errors import WatchBrokenError, WatchError, WatchRefusedError
from kubemr.controller.client.watch_stream import WatchStream
from kubemr.locks.effects import METHODS, UNKNOWN, Answer, Request, Watch, WatchEvent
from kubemr.locks.encoding import encode

CONNECT_SECONDS: Final = 10.0
"""If no TCP connection is made within this time, the server counts as unreachable."""

KEEPALIVE: Final[Mapping[str, int]] = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""TCP keepalive of a watch's socket: a peer that lost power or its network is noticed within a minute.

A proxy that stays up in front of a dead peer is not noticed by it, but by the idle timeout.
"""

NEVER_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""The host refused, does not exist or has no route, the TLS handshake failed, or the time for it ran out."""


class Client:
    """A client of one apiserver, one per process.  `timeout`, in seconds, is that of requests without their own.

    Use it as an async context manager, or call `close`.
    """

    def __init__(self, connection: Connection, *, timeout: float = 30.0) -> None:
        self._connection = connection
        self._timeout = timeout

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections.  Open watches fail."""
        await self._connection.close()

    async def send(self, request: Request) -> Answer:
        """Send one HTTP request and return its outcome."""
        on_its_way = False
        try:
            async with asyncio.timeout(self._timeout if request.timeout is None else request.timeout):
                headers = await self._headers(request)
                on_its_way = True
                async with self._exchange(request, headers) as response:
                    return self._answer(response, await response.read())
        except NEVER_SENT as error:
            return Answer(UNKNOWN, error=str(error), sent=False)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Answer(UNKNOWN, error=str(error) or _describe(error), sent=on_its_way)

    @asynccontextmanager
    async def watch(self, request: Request, *, idle_timeout: float) -> AsyncIterator[WatchStream]:
        """Open the watch that `request` describes (a list with `watch=true` in its query).

        The stream fails after `idle_timeout` seconds without a byte, so that must be longer than the server's pauses.
        Raises `WatchRefusedError` and `WatchBrokenError` on entering, and those of the stream while it is read.
        """
        try:
            async with asyncio.timeout(self._timeout):
                headers = {**await self._headers(request), "Accept-Encoding": "identity"}
                exchange = self._exchange(request, headers)
                response = await exchange
                if response.status != 200:
                    try:
                        raise WatchRefusedError(self._answer(response, await response.read()))
                    finally:
                        _break_off(response)
        except TimeoutError as error:
            raise WatchBrokenError(f"no answer: {str(error) or _describe(error)}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise WatchBrokenError(str(error) or _describe(error)) from error
        try:
            _keep_alive(response)
            yield WatchStream(response.content, idle_timeout)
        finally:
            _break_off(response)

    async def wait(self, watch: Watch) -> WatchEvent | None:
        """Return the first event of `watch` except bookmarks, or None if none came in time or the watch failed."""
        query = {"watch": "true", "resourceVersion": watch.resource_version}
        query["timeoutSeconds"] = str(max(1, math.ceil(watch.timeout)))
        if watch.label_selector:
            query["labelSelector"] = watch.label_selector
        if watch.field_selector:
            query["fieldSelector"] = watch.field_selector
        request = Request("list", watch.resource, watch.namespace, query=query)
        try:
            async with asyncio.timeout(watch.timeout), self.watch(request, idle_timeout=watch.timeout) as events:
                async for event in events:
                    if event.type != "BOOKMARK":
                        return event
        except (WatchError, TimeoutError):
            return None
        return None

    async def _headers(self, request: Request) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "kubemr", **await self._connection.headers()}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        return headers

    def _exchange(self, request: Request, headers: Mapping[str, str]) -> aiohttp.client._RequestContextManager:
        url = self._connection.base_url + quote(request.path, safe="/:")
        if request.query:
            url += "?" + urlencode(request.query)
        body = None
        if request.body is not None:
            body = encode(request.body)
        return self._connection.session().request(
            METHODS[request.verb],
            yarl.URL(url, encoded=True),
            data=body,
            headers=headers,
            # The caller limits the whole exchange; the connection has its own limit.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            allow_redirects=False,
            skip_auto_headers=("Content-Type",),
            **self._connection.options(),
        )

    def _answer(self, response: aiohttp.ClientResponse, raw: bytes) -> Answer:
        if response.status == 401:
            self._connection.unauthorized()
        wait = _retry_after(response.headers)
        try:
            return Answer(response.status, json.loads(raw) if raw else None, retry_after=wait)
        except ValueError:
            excerpt = raw[:200].decode("utf-8", "replace")
            error = f"HTTP {response.status} with a body that is not JSON: {excerpt!r}"
        # A 2xx whose body is not JSON is no success: whether the apiserver processed the request is unknown.
        status = UNKNOWN if 200 <= response.status < 300 else response.status
        return Answer(status, error=error, retry_after=wait)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in the header Retry-After, or None if the header is missing or malformed.

    A date is taken relative to the response's own Date header: the clocks of two machines are never compared.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    until, sent_at = _parse_date(value), _parse_date(headers.get("Date", ""))
    if until is None or sent_at is None:
        return None
    return max(0.0, (until - sent_at).total_seconds())


def _parse_date(value: str) -> datetime | None:
    try:
        return parsedate_to_datetime(value)
    except ValueError:
        return None


def _transport(response: aiohttp.ClientResponse) -> asyncio.Transport | None:
    """Return the connection's transport, or None if the response is complete and its connection back in the pool."""
    return response.connection.transport if response.connection else None


def _break_off(response: aiohttp.ClientResponse) -> None:
    """Close the connection now.  An orderly end of TLS would wait for the peer, which may be dead."""
    transport = _transport(response)
    if transport is not None:
        transport.abort()
    response.close()


def _keep_alive(response: aiohttp.ClientResponse) -> None:
    transport = _transport(response)
    sock = transport.get_extra_info("socket") if transport else None
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # not every system has them all
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _describe(error: BaseException) -> str:
    return "timed out" if isinstance(error, TimeoutError) else type(error).__name__
