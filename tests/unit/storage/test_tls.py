"""Servers are spoken to over TLS only if their certificate is trusted."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from kubemr.storage import HttpStore, ObjectStore, Retrier, S3Settings, S3Store, StorageError
from support.certificates import Certificates, make_certificates
from support.webservers import ScriptedServer, serving


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """Certificates of an unknown authority."""
    return make_certificates(tmp_path)


@pytest.fixture(params=["http", "s3"])
def store(
    request: pytest.FixtureRequest,
    scripted: Callable[..., ScriptedServer],
    certificates: Certificates,
    retrier: Retrier,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[bool], ObjectStore]:
    """A function that opens a store on a server with such a certificate, its authority trusted or not."""

    def opened(trusted: bool) -> ObjectStore:
        server = scripted(serving(b"data"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server, certificates.server_key)
        server.use_tls(context)
        url = server.url.replace("http:", "https:")
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
        if request.param == "http":
            return HttpStore(url, retrier)
        return S3Store("bucket", "", S3Settings(url, access_key="key", secret_key="secret"), retrier)

    return opened


def test_an_unknown_authority_is_refused_at_once(store: Callable[[bool], ObjectStore]) -> None:
    """It will not be known a second later; the remedy names the variable."""
    with pytest.raises(StorageError, match=r"no trusted TLS connection.*SSL_CERT_FILE") as raised:
        store(False).get("k")
    assert type(raised.value) is StorageError


def test_an_authority_can_be_named(store: Callable[[bool], ObjectStore]) -> None:
    """By SSL_CERT_FILE, for every kind of store."""
    assert store(True).get("k") == b"data"
