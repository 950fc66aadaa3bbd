"""Connections by `kubernetes.aio`: kubeconfig, service account, TLS, refreshed tokens."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from pathlib import Path

import pytest
import structlog

from kubemr.controller.client import Client, PlainConnection
from kubemr.controller.client.kube_config import ConfigException, discover, from_kubeconfig, in_cluster
from kubemr.locks.effects import UNKNOWN, Request, Resource
from support.certificates import make_certificates
from support.fakeserver import FakeServer, refuse, reply, watching
from support.virtualtime import VirtualLoop

GET = Request("get", Resource("", "v1", "pods"), "ns", "a")


def kubeconfig(folder: Path, url: str, user: dict[str, object], **cluster: object) -> str:
    """Write a kubeconfig (YAML is a superset of JSON)."""
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": url, **cluster}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [
                    {"name": "x", "context": {"cluster": "c", "user": "u"}},
                    {"name": "nobody", "context": {"cluster": "c", "user": "u"}},
                ],
                "current-context": "x",
            }
        )
    )
    return str(path)


def loopback_tls(folder: Path) -> tuple[ssl.SSLContext, str]:
    """Return a server's TLS context, and the file with the authority that signed its certificate."""
    made = make_certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.server, made.server_key)
    return context, str(made.ca)


async def test_a_kubeconfig_with_a_token(server: FakeServer, tmp_path: Path) -> None:
    """The token is sent; watches go the same way."""
    server.expect(reply({}), watching(("ADDED", {}), then="end"))
    async with Client(await from_kubeconfig(kubeconfig(tmp_path, server.url, {"token": "t1"}))) as client:
        assert (await client.send(GET)).ok
        async with client.watch(GET, idle_timeout=10) as stream:
            assert [event.type async for event in stream] == ["ADDED"]
    assert {request.headers["authorization"] for request in server.requests} == {"Bearer t1"}


async def test_no_credentials(server: FakeServer, tmp_path: Path) -> None:
    """Without a token no header is sent."""
    server.expect(reply({}))
    async with Client(await from_kubeconfig(kubeconfig(tmp_path, server.url, {}))) as client:
        await client.send(GET)
    assert "authorization" not in server.requests[0].headers


async def test_tls_against_the_clusters_authority(tmp_path: Path) -> None:
    """The kubeconfig's CA is trusted, another is not; `tls-server-name` is what the certificate must name."""
    context, ca_file = loopback_tls(tmp_path)
    async with FakeServer(tls=context) as server:
        server.expect(reply({}))
        path = kubeconfig(tmp_path, server.url, {}, **{"certificate-authority": ca_file})
        async with Client(await from_kubeconfig(path)) as client:
            assert (await client.send(GET)).ok
        server.expect(reply({}))
        async with Client(PlainConnection(server.url, ca_file=ca_file)) as client:
            assert (await client.send(GET)).ok
        for cluster in [{}, {"certificate-authority": ca_file, "tls-server-name": "other.example"}]:
            path = kubeconfig(tmp_path, server.url, {}, **cluster)
            async with Client(await from_kubeconfig(path)) as client:
                answer = await client.send(GET)
                assert (answer.status, answer.sent) == (UNKNOWN, False)


async def test_the_pods_service_account_and_its_rotated_token(tmp_path: Path) -> None:
    """The token is read again when it is a minute old."""
    context, ca_file = loopback_tls(tmp_path)
    token = tmp_path / "token"
    token.write_text("first")
    async with FakeServer(tls=context) as server:
        environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}
        server.expect(reply({}), reply({}), reply({}))
        connection = await in_cluster(token_file=str(token), ca_file=ca_file, environ=environ)
        async with Client(connection) as client:
            await client.send(GET)
            token.write_text("second\n")
            await asyncio.sleep(30)
            await client.send(GET)
            await asyncio.sleep(40)
            await client.send(GET)
    assert [r.headers["authorization"] for r in server.requests] == ["bearer first", "bearer first", "bearer second"]


async def test_after_a_401_the_token_is_read_again(server: FakeServer, tmp_path: Path) -> None:
    """Before the next request, but not more often than every 5 s."""
    token = tmp_path / "token"
    token.write_text("first")
    path = kubeconfig(tmp_path, server.url, {"tokenFile": str(token)})
    server.expect(refuse(401), reply({}), reply({}))
    async with Client(await from_kubeconfig(path)) as client:
        token.write_text("second")
        await client.send(GET)
        await client.send(GET)
        await asyncio.sleep(5)
        await client.send(GET)
    assert [r.headers["authorization"] for r in server.requests] == ["Bearer first", "Bearer first", "Bearer second"]


async def test_a_refresh_that_fails_keeps_the_old_token(server: FakeServer, tmp_path: Path) -> None:
    """It may still be valid; the failure is logged."""
    token = tmp_path / "token"
    token.write_text("first")
    path = kubeconfig(tmp_path, server.url, {"tokenFile": str(token)})
    server.expect(reply({}))
    async with Client(await from_kubeconfig(path)) as client:
        token.unlink()
        await asyncio.sleep(60)
        with structlog.testing.capture_logs() as logs:
            assert (await client.send(GET)).ok
    assert server.requests[0].headers["authorization"] == "Bearer first"
    assert [entry["event"] for entry in logs] == ["credentials_refresh_failed"]


async def test_a_credential_plugin(server: FakeServer, tmp_path: Path) -> None:
    """A real process prints the token; it is run again when that is a minute old."""
    counter = tmp_path / "n"
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        f"""
import json, pathlib
path = pathlib.Path({str(counter)!r})
n = int(path.read_text()) + 1 if path.exists() else 1
path.write_text(str(n))
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                  "status": {{"token": f"t{{n}}"}}}}))
"""
    )
    command = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(plugin)]}
    server.expect(reply({}), reply({}))
    async with Client(await from_kubeconfig(kubeconfig(tmp_path, server.url, {"exec": command}))) as client:
        await client.send(GET)
        await asyncio.sleep(60)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        with loop.standing_still():
            await client.send(GET)
    assert [r.headers["authorization"] for r in server.requests] == ["Bearer t1", "Bearer t2"]


async def test_which_configuration_is_used(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named file, $KUBECONFIG, the pod's own cluster: in this order."""
    path = kubeconfig(tmp_path, server.url, {})
    pod = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    assert (await discover(path, environ=pod)).base_url == server.url
    assert (await discover(environ={**pod, "KUBECONFIG": path})).base_url == server.url
    assert (await discover(path, "nobody", environ={})).base_url == server.url
    monkeypatch.setenv("KUBECONFIG", path)
    assert (await from_kubeconfig()).base_url == server.url
    with pytest.raises(ConfigException, match="token"):
        await discover(environ=pod)


async def test_closing_an_unused_connection(server: FakeServer, tmp_path: Path) -> None:
    """Nothing was opened, nothing is left open."""
    await (await from_kubeconfig(kubeconfig(tmp_path, server.url, {}))).close()
