"""Throw-away certificates and keys for a control plane on the loopback address, and on others that a node reaches."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

LIFETIME = datetime.timedelta(days=7)


@dataclass(frozen=True)
class Certificates:
    """The files of one control plane; several apiservers may share them.

    `ca` is what clients trust, `server` and `server_key` what an apiserver shows, `service_accounts` the key that signs
    the tokens of service accounts.  By `kubelet_client` and its key, an apiserver is an administrator to a kubelet.
    """

    ca: Path
    server: Path
    server_key: Path
    service_accounts: Path
    kubelet_client: Path
    kubelet_client_key: Path


def make_certificates(folder: Path, *addresses: str, hosts: Sequence[str] = ()) -> Certificates:
    """Make a certificate authority, a server and a client certificate signed by it, and a key for service accounts.

    The server's certificate is for 127.0.0.1, for `addresses`, and for the names in `hosts`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA(organization_name="kubemr", organization_unit_name="kubemr-test-ca")
    end = datetime.datetime.now(datetime.UTC) + LIFETIME
    names = ("localhost", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    server = authority.issue_cert("127.0.0.1", *addresses, *names, *hosts, common_name="kube-apiserver", not_after=end)
    # Go refuses a certificate whose alternative names are critical, as trustme makes them, and empty.
    client = authority.issue_cert(
        "kube-apiserver-kubelet-client",
        common_name="kube-apiserver-kubelet-client",
        organization_name="system:masters",
        not_after=end,
    )
    # The apiserver signs tokens of service accounts by RSA or ECDSA; RSA is what everybody's client expects.
    signing = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return Certificates(
        ca=_write(folder / "ca.crt", authority.cert_pem.bytes()),
        server=_write(folder / "apiserver.crt", server.cert_chain_pems[0].bytes()),
        server_key=_write(folder / "apiserver.key", server.private_key_pem.bytes(), mode=0o600),
        service_accounts=_write(folder / "service-accounts.key", signing, mode=0o600),
        kubelet_client=_write(folder / "kubelet-client.crt", client.cert_chain_pems[0].bytes()),
        kubelet_client_key=_write(folder / "kubelet-client.key", client.private_key_pem.bytes(), mode=0o600),
    )


def _write(path: Path, pem: bytes, mode: int = 0o644) -> Path:
    path.touch(mode)
    path.write_bytes(pem)
    return path
