"""Throw-away certificates and keys for a control plane on the loopback address, and on others that a node reaches."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

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


def _name(common_name: str, group: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if group:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(parts)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    return path


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def make_certificates(folder: Path, *addresses: str, hosts: Sequence[str] = ()) -> Certificates:
    """Make a certificate authority, a server certificate signed by it, and a key for service accounts.

    The server's certificate is for 127.0.0.1, for `addresses`, and for the names in `hosts`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    ca_key, server_key, client_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())

    def certificate(subject: str, key: ec.EllipticCurvePrivateKey, group: str = "") -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject, group))
            .issuer_name(_name("kubemr-test-ca"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + LIFETIME)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(authority, critical=False)
        )

    ca = (
        certificate("kubemr-test-ca", ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names: list[x509.GeneralName] = [
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", *addresses)),
        x509.DNSName("localhost"),
        x509.DNSName("kubernetes.default.svc"),
        x509.DNSName("kubernetes.default.svc.cluster.local"),
        *map(x509.DNSName, hosts),
    ]
    server = (
        certificate("kube-apiserver", server_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    client = (
        certificate("kube-apiserver-kubelet-client", client_key, "system:masters")
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    made = Certificates(
        ca=folder / "ca.crt",
        server=folder / "apiserver.crt",
        server_key=_write_key(folder / "apiserver.key", server_key),
        # The apiserver signs tokens of service accounts by RSA or ECDSA; RSA is what everybody's client expects.
        service_accounts=_write_key(
            folder / "service-accounts.key", rsa.generate_private_key(public_exponent=65537, key_size=2048)
        ),
        kubelet_client=folder / "kubelet-client.crt",
        kubelet_client_key=_write_key(folder / "kubelet-client.key", client_key),
    )
    made.kubelet_client.write_bytes(client.public_bytes(serialization.Encoding.PEM))
    made.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    made.server.write_bytes(server.public_bytes(serialization.Encoding.PEM))
    return made
