"""The apiserver's address, the connections to it, and the client's credentials."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp


class Connection(Protocol):
    """What `Client` needs: one pool of connections, which is opened at its first use and closed by `close`."""

    @property
    def base_url(self) -> str:
        """Scheme, host, port and perhaps a path, without a slash at the end."""

    def session(self) -> aiohttp.ClientSession:
        """Return the pool of connections.  Call it on the event loop that uses the pool."""

    async def headers(self) -> Mapping[str, str]:
        """Return the headers that authenticate a request, with fresh credentials.  This may run a credential plugin."""

    def options(self) -> Mapping[str, Any]:
        """Return further arguments of aiohttp's `request` (proxy, TLS server name)."""

    def unauthorized(self) -> None:
        """Read new credentials before the next request, because the server answered 401."""

    async def close(self) -> None:
        """Close the connections."""


def without_retries(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """Stop aiohttp from repeating a GET, PUT or DELETE itself when a reused connection turns out to be closed.

    The caller decides whether a request is repeated, because the server may have processed the first one.
    There is no public switch; aiohttp's own test client sets this attribute too.
    """
    session._retry_connection = False
    return session


async def close_now(session: aiohttp.ClientSession) -> None:
    """Close all connections without waiting for the peer's end of TLS, because the peer may be dead."""
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
        """The URL as given, without a slash at the end."""
        return self._url

    def session(self) -> aiohttp.ClientSession:
        """Return the one session of this connection."""
        if self._session is None:
            secure: ssl.SSLContext | bool = True
            if self._ca_file:
                secure = ssl.create_default_context(cafile=self._ca_file)
            connector = aiohttp.TCPConnector(limit=self._max_connections, ssl=secure)
            self._session = without_retries(aiohttp.ClientSession(connector=connector))
        return self._session

    async def headers(self) -> Mapping[str, str]:
        """Return the header with the token, which never changes."""
        return self._headers

    def options(self) -> Mapping[str, Any]:
        """Return no options."""
        return {}

    def unauthorized(self) -> None:
        """Do nothing, because there is no other token."""

    async def close(self) -> None:
        """Close the session if it was opened."""
        if self._session is not None:
            await close_now(self._session)
            self._session = None
