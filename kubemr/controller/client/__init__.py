"""The operator's way to the apiserver: raw JSON over one pool of connections.

- `transport`: `Client`, which carries out the effects `Request` and `Watch` and opens watch streams;
- `stream`: a watch's bytes, turned into events;
- `connection`: where the apiserver is and who we are; `PlainConnection` is a URL and a token;
- `cluster`: the same from a kubeconfig or a pod's service account, by the `kubernetes` package (imported there only);
- `retryafter`: the header of that name;
- `errors`: how a watch can fail.
"""

from kubemr.controller.client.client import Client
from kubemr.controller.client.connection import Connection, PlainConnection
from kubemr.controller.client.watch_errors import WatchBroken, WatchError, WatchGarbled, WatchRefused, WatchSilent
from kubemr.controller.client.watch_stream import WatchStream

__all__ = [
    "Client",
    "Connection",
    "PlainConnection",
    "WatchBroken",
    "WatchError",
    "WatchGarbled",
    "WatchRefused",
    "WatchSilent",
    "WatchStream",
]
