"""A connection to a cluster, from a kubeconfig or from a pod's service account.

Configuration, authentication (tokens, client certificates, credential plugins, OIDC), TLS, proxies and the pool of
connections are those of `kubernetes.aio`.  None of its model classes is used: they cost more than the JSON.
Importing this module imports `kubernetes.aio` (about 0.6 s), so import it only if a cluster is used.

Credentials are read again every minute, and before the next request after a 401.
The kubelet rotates the tokens of service accounts on disk, and credential plugins know when theirs expire.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import structlog
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, list_kube_config_contexts, load_kube_config
from kubernetes.aio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_HOST_ENV_NAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)

from kubemr.controller.client.connection import close_now, without_retries
from kubemr.controller.clock import AsyncioClock, Clock

REFRESH_SECONDS = 60.0
"""The age at which credentials are read again; service account tokens are rotated long before they expire."""

UNAUTHORIZED_SECONDS = 5.0
"""The least time between two refreshes, however many requests are answered with 401."""

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class ClusterConnection:
    """A connection by `configuration`; `reload` fills it again with fresh credentials."""

    def __init__(
        self,
        configuration: Configuration,
        reload: Callable[[], Awaitable[None] | None],
        *,
        clock: Clock | None = None,
    ) -> None:
        self._configuration = configuration
        self._reload = reload
        self._clock: Clock = clock or AsyncioClock()
        self._api: ApiClient | None = None
        self._session: aiohttp.ClientSession
        self._loaded_at = self._clock.now()
        self._unauthorized = False

    @property
    def base_url(self) -> str:
        """The configured server."""
        return str(self._configuration.host).rstrip("/")

    def session(self) -> aiohttp.ClientSession:
        """Return the session of an `ApiClient`, with its TLS context and limits."""
        if self._api is None:
            api = ApiClient(self._configuration)
            self._session = api.rest_client.pool_manager = without_retries(api.rest_client._create_pool_manager())
            self._api = api  # closes the session
        return self._session

    async def headers(self) -> Mapping[str, str]:
        """Return the Authorization header, which is at most a minute old."""
        age = self._clock.now() - self._loaded_at
        if age >= REFRESH_SECONDS or (self._unauthorized and age >= UNAUTHORIZED_SECONDS):
            await self._refresh()
        value = await self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return {"Authorization": value.strip()} if value else {}

    def options(self) -> Mapping[str, Any]:
        """Return the TLS server name and the proxy, if they are configured."""
        options = {
            "server_hostname": self._configuration.tls_server_name,
            "proxy": self._configuration.proxy,
            "proxy_headers": self._configuration.proxy_headers,
        }
        return {name: value for name, value in options.items() if value}

    def unauthorized(self) -> None:
        """Refresh the credentials before the next request."""
        self._unauthorized = True

    async def close(self) -> None:
        """Close the session if it was opened."""
        if self._api is not None:
            await close_now(self._session)
            await self._api.close()  # type: ignore[no-untyped-call] # the package's
            self._api = None

    async def _refresh(self) -> None:
        """Read the credentials again.  If that fails, keep the old ones, which may still be valid."""
        self._loaded_at = self._clock.now()  # first, so that concurrent requests do not refresh too
        self._unauthorized = False
        try:
            result = self._reload()
            if inspect.isawaitable(result):
                await result
        except Exception as error:  # whatever a credential plugin or a provider raises
            log.error("credentials_refresh_failed", server=self.base_url, error=str(error), exc_info=error)


async def from_kubeconfig(
    path: str | None = None, context: str | None = None, *, clock: Clock | None = None
) -> ClusterConnection:
    """Connect by a kubeconfig, by default $KUBECONFIG or ~/.kube/config, and its current context."""
    configuration = Configuration()
    loader = await load_kube_config(  # type: ignore[no-untyped-call] # the package's
        path or os.environ.get("KUBECONFIG"), context, client_configuration=configuration, persist_config=False
    )
    return ClusterConnection(configuration, lambda: loader.load_and_set(configuration), clock=clock)


async def namespace_of(path: str | None = None, context: str | None = None) -> str:
    """Return the namespace of a kubeconfig's context: `default` if the context names none."""
    contexts, current = list_kube_config_contexts(  # type: ignore[no-untyped-call] # the package's
        path or os.environ.get("KUBECONFIG")
    )
    chosen = next((each for each in contexts if each["name"] == context), current)
    return str((chosen.get("context") or {}).get("namespace") or "default")


async def in_cluster(
    *,
    token_file: str = SERVICE_TOKEN_FILENAME,
    ca_file: str = SERVICE_CERT_FILENAME,
    environ: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
) -> ClusterConnection:
    """Connect to the cluster that this pod runs in, as its service account.  Raises `ConfigException` elsewhere."""
    configuration = Configuration()
    # An untyped class: mypy does not check these calls.
    loader: Any = InClusterConfigLoader(token_file, ca_file, try_refresh_token=False, environ=environ)  # type: ignore[no-untyped-call]
    loader.load_and_set(configuration)
    return ClusterConnection(configuration, lambda: loader.load_and_set(configuration), clock=clock)


async def discover(
    kubeconfig: str | None = None, context: str | None = None, *, environ: Mapping[str, str] = os.environ
) -> ClusterConnection:
    """Connect by the named kubeconfig or context, else $KUBECONFIG, else the pod's own cluster, else ~/.kube/config."""
    if kubeconfig or context or environ.get("KUBECONFIG") or SERVICE_HOST_ENV_NAME not in environ:
        return await from_kubeconfig(kubeconfig or environ.get("KUBECONFIG"), context)
    return await in_cluster(environ=environ)


__all__ = ["ClusterConnection", "ConfigException", "discover", "from_kubeconfig", "in_cluster", "namespace_of"]
