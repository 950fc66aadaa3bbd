"""The address and the credentials of the apiserver, as in docs/protocol.md.

``KUBEMR_APISERVER`` is the server's address outside a cluster, with ``KUBEMR_APISERVER_TOKEN``.
``KUBEMR_APISERVER_CA`` is the file of a private certificate authority, for https.
Without ``KUBEMR_APISERVER`` the pod's service account is used.

Kubeconfig files are not read here: ``kubectl proxy`` turns one into an address for ``KUBEMR_APISERVER``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from os import PathLike  # not pathlib: its import costs more than all of this package's own
from os.path import isfile, join
from typing import Final, TypeAlias

from attr import field, frozen

from kubemr.locks.errors import LocksError

File: TypeAlias = str | PathLike[str]

SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
"""The directory of a pod's token (replaced about hourly), certificate authority and namespace."""


class ConfigError(LocksError, ValueError):
    """The settings do not lead to an apiserver: a variable is missing, or an address or file is wrong."""


@frozen
class Server:
    """An apiserver's address and credentials.

    `url` may have a path, which precedes the path of every request.
    `token_file` has priority over `token`, and is read again when it changes.
    `cert_file` and `key_file` are a client certificate in PEM.
    Without `ca_file`, https is verified by the system's authorities; it is never unverified.
    `connect_timeout` and `read_timeout` are in seconds; a request's own `timeout` replaces both.
    `user_agent` is the header of that name: it names the client in the apiserver's audit log.
    """

    url: str = field()
    token: str | None = field(default=None, repr=False)
    token_file: File | None = None
    ca_file: File | None = None
    cert_file: File | None = None
    key_file: File | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    user_agent: str = "kubemr"

    @url.validator
    def _check_url(self, _attribute: object, url: str) -> None:
        scheme, separator, rest = url.partition("://")
        if not separator or scheme not in ("http", "https") or not rest.partition("/")[0]:
            raise ConfigError(
                f"apiserver address {url!r}: expected http://host[:port] or https://host[:port], "
                "e.g. https://10.0.0.1:6443 or, behind `kubectl proxy`, http://127.0.0.1:8001"
            )


def from_environment(environ: Mapping[str, str] = os.environ, service_account: File = SERVICE_ACCOUNT) -> Server:
    """Return the server that the environment names.

    Raise `ConfigError`, which says what to set.
    """
    url = environ.get("KUBEMR_APISERVER")
    if url:
        ca = environ.get("KUBEMR_APISERVER_CA")
        if ca and not isfile(ca):
            raise ConfigError(f"KUBEMR_APISERVER_CA={ca!r}: no such file; name the PEM file of the server's authority")
        return Server(url, token=environ.get("KUBEMR_APISERVER_TOKEN") or None, ca_file=ca or None)
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise ConfigError(
            "no apiserver: neither KUBEMR_APISERVER nor KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are set. "
            "In a pod Kubernetes sets the latter; elsewhere run `kubectl proxy` and set "
            "KUBEMR_APISERVER=http://127.0.0.1:8001"
        )
    token, ca_file = join(service_account, "token"), join(service_account, "ca.crt")
    if not isfile(token):
        raise ConfigError(
            f"no service account token at {token}: the pod needs a serviceAccountName and must not set "
            "automountServiceAccountToken: false; or set KUBEMR_APISERVER and KUBEMR_APISERVER_TOKEN"
        )
    address = f"[{host}]" if ":" in host else host
    return Server(f"https://{address}:{port}", token_file=token, ca_file=ca_file if isfile(ca_file) else None)
