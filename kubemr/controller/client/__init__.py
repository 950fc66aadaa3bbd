"""The operator's client of the apiserver: raw JSON over one pool of connections.

- `client`: `Client` sends the effects `Request` and `Watch` and opens watch streams;
- `watch_stream`: decodes the bytes of a watch into events;
- `connection`: the apiserver's address and the client's credentials; `PlainConnection` has a URL and a token;
- `kube_config`: a connection from a kubeconfig or a pod's service account, by the `kubernetes` package,
  which only this module imports;
- `watch_errors`: how a watch can fail.
"""

from kubemr.controller.client.client import Client
from kubemr.controller.client.connection import Connection, PlainConnection
from kubemr.controller.client.watch_errors import (
    WatchBrokenError,
    WatchError,
    WatchGarbledError,
    WatchIdleTimeoutError,
    WatchRefusedError,
)
from kubemr.controller.client.watch_stream import WatchStream

__all__ = [
    "Client",
    "Connection",
    "PlainConnection",
    "WatchBrokenError",
    "WatchError",
    "WatchGarbledError",
    "WatchIdleTimeoutError",
    "WatchRefusedError",
    "WatchStream",
]
