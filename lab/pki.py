"""Certificates and kubeconfigs: an authority for the cluster, one for the aggregation layer, and a key per identity."""

from __future__ import annotations

import datetime
import json
from base64 import b64encode
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab import layout
from lab.files import write

LIFETIME = datetime.timedelta(days=365)


@dataclass(frozen=True)
class Identity:
    """The paths of a certificate and its private key, both in PEM."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority in a folder, created on first use and kept afterwards."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.certificate = folder / f"{name}.crt"
        self._key_path = folder / f"{name}.key"
        if not self.certificate.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            subject = _name(name, ())
            certificate = (
                _unsigned(subject, subject, key)
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(_usage(signs_certificates=True), critical=True)
                .sign(key, hashes.SHA256())
            )
            write(self._key_path, _key_bytes(key), mode=0o600)
            write(self.certificate, certificate.public_bytes(serialization.Encoding.PEM))
        loaded = serialization.load_pem_private_key(self._key_path.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = loaded
        self._certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())

    def issue(self, name: str, common_name: str, groups: tuple[str, ...] = (), hosts: tuple[str, ...] = ()) -> Identity:
        """The identity `name`, created on first use: for a client, and for a server too where `hosts` are given."""
        identity = Identity(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        if identity.certificate.exists():
            return identity
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH] + ([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])
        builder = (
            _unsigned(_name(common_name, groups), self._certificate.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
            )
        write(identity.key, _key_bytes(key), mode=0o600)
        write(identity.certificate, builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return identity


def service_account_key(folder: Path) -> Path:
    """The key that signs service account tokens. It is an RSA key, as every client of an issuer supports RS256."""
    path = folder / "service-accounts.key"
    if not path.exists():
        from cryptography.hazmat.primitives.asymmetric import rsa

        write(path, _key_bytes(rsa.generate_private_key(65537, 2048)), mode=0o600)
    return path


def kubeconfig(authority: Authority, identity: Identity, server: str) -> str:
    """A kubeconfig with all certificates and keys embedded, in JSON, which is valid YAML."""

    def embedded(path: Path) -> str:
        return b64encode(path.read_bytes()).decode()

    user = {"client-certificate-data": embedded(identity.certificate), "client-key-data": embedded(identity.key)}
    cluster = {"server": server, "certificate-authority-data": embedded(authority.certificate)}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": layout.NAME, "cluster": cluster}],
            "users": [{"name": layout.NAME, "user": user}],
            "contexts": [{"name": layout.NAME, "context": {"cluster": layout.NAME, "user": layout.NAME}}],
            "current-context": layout.NAME,
        },
        indent=1,
    )


def _unsigned(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Valid from five minutes ago, for clocks that are a little slow.
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
    )


def _name(common_name: str, groups: tuple[str, ...]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(IPv4Address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_bytes(key: object) -> bytes:
    written: bytes = key.private_bytes(  # type: ignore[attr-defined]  # both key types have it, and they share no base type
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return written
