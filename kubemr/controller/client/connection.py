"""Where the apiserver is, how to reach it, and who we are."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp


class Connection(Protocol):
    """What `Client` needs to know.  One pool of connections, opened when first used, closed by `close`."""

    @property
    def base_url(self) -> str:
        """Scheme, host, port and perhaps a path, without a slash at the end."""

    def session(self) -> aiohttp.ClientSession:
        """The pool of connections.  To be called on the event loop that uses it."""

    async def headers(self) -> Mapping[str, str]:
        """The headers that authenticate a request; refreshed when they are old.  May run a credential plugin."""

    def options(self) -> Mapping[str, Any]:
        """Further arguments of aiohttp's `request` (proxy, TLS server name)."""

    def unauthorized(self) -> None:
        """The server answered 401: look for new credentials before the next request."""

    async def close(self) -> None:
        """Close the connections."""


def without_retries(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """Stop aiohttp from sending a GET, PUT or DELETE again by itself when a reused connection turns out closed.

    Whether a request may be repeated is the caller's decision: the first one may have been carried out.
    (There is no public switch; aiohttp's own test client sets this attribute too.)
    """
    session._retry_connection = False
    return session


async def close_now(session: aiohttp.ClientSession) -> None:
    """Close all connections without waiting for the other side's end of TLS; it may be gone."""
    if session.connector is not None:  # closed already otherwise
        await session.connector.close(abort_ssl=True)
    await session.close()


class PlainConnection:
    """A URL and a bearer token, as in local mode.  `ca_file` replaces the system's certificates for https."""

    def __init__(self, url: str, token: str = "", *, ca_file: str | None = None, max_connections: int = 100) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"apiserver URL {url!r}: write it as http(s)://host:port")
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._ca_file = ca_file
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    @property
    def base_url(self) -> str:
        """As given, without a slash at the end."""
        return self._url

    def session(self) -> aiohttp.ClientSession:
        """One session for the connection's whole life."""
        if self._session is None:
            secure: ssl.SSLContext | bool = True
            if self._ca_file:
                secure = ssl.create_default_context(cafile=self._ca_file)
            connector = aiohttp.TCPConnector(limit=self._max_connections, ssl=secure)
            self._session = without_retries(aiohttp.ClientSession(connector=connector))
        return self._session

    async def headers(self) -> Mapping[str, str]:
        """The token never changes."""
        return self._headers

    def options(self) -> Mapping[str, Any]:
        """None."""
        return {}

    def unauthorized(self) -> None:
        """There is no other token."""

    async def close(self) -> None:
        """Close the session if it was opened."""
        if self._session is not None:
            await close_now(self._session)
            self._session = None
