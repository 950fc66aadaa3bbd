"""`python -m kubemr.controller` as a real process: how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from kubemr.controller.__main__ import _connection
from kubemr.local.apiserver.http import HttpServer

ROOT = Path(__file__).parents[3]


def start(environ: dict[str, str]) -> subprocess.Popen[str]:
    """Start the operator's process; its log comes line by line."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBEMR_", "KUBERNETES_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "kubemr.controller"],
        env={**kept, "PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "KUBECONFIG": "/nonexistent", **environ},
        stderr=subprocess.PIPE,
        text=True,
    )


def ends(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code, and the rest of its log."""
    _, log = process.communicate(timeout=60)
    return process.returncode, log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end(server: HttpServer, environ: dict[str, str], number: signal.Signals) -> None:
    """0, after it has given its Lease up."""
    process = start({**environ, "KUBEMR_APISERVER": server.url, "KUBEMR_APISERVER_TOKEN": "sesame"})
    assert process.stderr is not None
    for line in process.stderr:
        if json.loads(line)["event"] == "operator_started":
            break
    process.send_signal(number)
    code, log = ends(process)
    assert code == 0, log
    assert "operator_stopped" in log
    assert "Traceback" not in log


def test_it_answers_to_probes(server: HttpServer, environ: dict[str, str]) -> None:
    """On the port that it is given; a second one on the same port says so and ends with 1."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    health = {"KUBEMR_HEALTH_PORT": str(port), "KUBEMR_HEALTH_ADDRESS": "127.0.0.1"}
    environ = {**environ, **health, "KUBEMR_APISERVER": server.url, "KUBEMR_APISERVER_TOKEN": "sesame"}
    process = start(environ)
    assert process.stderr is not None
    for line in process.stderr:
        if json.loads(line)["event"] == "controller_started":
            break
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        assert b"workqueue_depth" in answer.read()
    code, log = ends(start(environ))
    assert (code, json.loads(log)["event"]) == (1, "operator_failed")
    assert str(port) in log
    process.send_signal(signal.SIGTERM)
    assert ends(process)[0] == 0


def test_settings_that_make_no_sense(environ: dict[str, str]) -> None:
    """2, and the log names the variable."""
    code, log = ends(start({**environ, "KUBEMR_WORKERS": "many"}))
    assert code == 2
    assert json.loads(log)["error"] == "KUBEMR_WORKERS is 'many': must be a number"


def test_rights_that_are_missing(server: HttpServer, environ: dict[str, str]) -> None:
    """1: a wrong token."""
    code, log = ends(start({**environ, "KUBEMR_APISERVER": server.url, "KUBEMR_APISERVER_TOKEN": "wrong"}))
    assert code == 1
    assert "operator_failed" in log
    assert "Traceback" not in log


def test_no_cluster_to_be_found(environ: dict[str, str]) -> None:
    """2: neither a URL nor a kubeconfig nor a service account; the log says what to set."""
    code, log = ends(start(environ))
    assert code == 2, log
    assert "KUBEMR_APISERVER" in log
    assert "Traceback" not in log


async def test_the_connection_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL and a token."""
    monkeypatch.setenv("KUBEMR_APISERVER", "http://127.0.0.1:1/")
    monkeypatch.setenv("KUBEMR_APISERVER_TOKEN", "sesame")
    connection = await _connection()
    assert connection.base_url == "http://127.0.0.1:1"
    assert dict(await connection.headers())["Authorization"] == "Bearer sesame"
    await connection.close()
