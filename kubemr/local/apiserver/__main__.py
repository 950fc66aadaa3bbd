"""Run the embedded apiserver as a process: `python -m kubemr.local.apiserver`.

It writes one line to stdout when it serves, `{"url": ..., "token": ...}`.  It ends at SIGTERM or SIGINT, or when the
other end of the pipe `--lifeline` is closed.  The token is that of `KUBEMR_APISERVER_TOKEN`, or random.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
from pathlib import Path

from kubemr.local.apiserver.http import HttpServer
from kubemr.local.apiserver.kubemr_server import kubemr_server

TOKEN = "KUBEMR_APISERVER_TOKEN"


def kubeconfig(url: str) -> str:
    """Return a kubeconfig file for `kubectl`, in JSON, which is YAML.  `url` is `HttpServer.kubectl_url`."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "kubemr", "cluster": {"server": url}}],
            "contexts": [{"name": "kubemr", "context": {"cluster": "kubemr"}}],
            "current-context": "kubemr",
        },
        indent=2,
    )


def main() -> None:
    """Serve until SIGTERM, SIGINT, or the end of the lifeline."""
    parser = argparse.ArgumentParser(prog="python -m kubemr.local.apiserver", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="listen on this port; 0 is any free port [default: 0]")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="write a kubeconfig for kubectl to this file")
    parser.add_argument("--lifeline", type=int, metavar="FD", help="end when the other end of this pipe is closed")
    given = parser.parse_args()
    token = os.environ.get(TOKEN) or secrets.token_hex(16)
    server = HttpServer(kubemr_server(), token, given.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    if given.kubeconfig:
        given.kubeconfig.touch(mode=0o600)
        given.kubeconfig.write_text(kubeconfig(server.kubectl_url))
    print(json.dumps({"url": server.url, "token": token}), flush=True)
    server.serve(given.lifeline)


if __name__ == "__main__":
    main()
