"""An authority for tests: certificates of servers and clients, and lists of revoked ones."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.now(UTC).replace(microsecond=0)


class Authority:
    """Signs what a test asks for, and writes it as PEM into a directory."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        builder = _builder(self._name, self._name, self._key, NOW - timedelta(days=1), NOW + timedelta(days=10))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs=True), critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        self.certificate = builder.sign(self._key, hashes.SHA256())
        self.path = directory / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str,
        *names: str,
        client: bool = True,
        begins: datetime = NOW - timedelta(hours=1),
        ends: datetime = NOW + timedelta(days=5),
    ) -> tuple[Path, Path]:
        """A certificate with this common name and these alternative ones, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named(name), self._name, key, begins, ends)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        builder = builder.add_extension(_usage(signs=False), critical=True)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        stem = "".join(each if each.isalnum() else "-" for each in name)
        paths = self.directory / f"{stem}.crt", self.directory / f"{stem}.key"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].touch(mode=0o600)
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths

    def revoke(self, path: Path, certificates: Sequence[Path] = (), ends: datetime = NOW + timedelta(days=5)) -> Path:
        """Write the list of these revoked certificates."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        builder = builder.last_update(NOW - timedelta(hours=2)).next_update(ends)
        for each in certificates:
            number = x509.load_pem_x509_certificate(each.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(NOW - timedelta(hours=1))
            builder = builder.add_revoked_certificate(entry.build())
        path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return path


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        if "://" in name:
            found.append(x509.UniformResourceIdentifier(name))
        elif "@" in name:
            found.append(x509.RFC822Name(name))
        elif name[0].isdigit():
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        else:
            found.append(x509.DNSName(name))
    return found
