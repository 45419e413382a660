"""Certificates of a webhook: an authority that lives long and is known to a cluster, and short ones that it gives.

The authority's key stays with who renders the objects; the cluster has its certificate alone. A certificate that is
renewed by the same authority needs no change of what the cluster trusts.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from plimsoll.errors import TargetError
from plimsoll.signing.private_keys import write_private

AUTHORITY_DAYS = 3650
DAYS = 90
"""Days for which a certificate of the webhook is valid."""
_EARLIER = timedelta(minutes=5)
"""The clocks of nodes differ."""


class Issued(Struct, frozen=True, kw_only=True):
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes
    ends: datetime


class Authority:
    """An authority for the webhooks of one person."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @property
    def certificate(self) -> bytes:
        """Its certificate in PEM: what a cluster is told to trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def new(cls) -> Authority:
        """A new one."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plimsoll admission")])
        made = _builder(name, name, key.public_key(), AUTHORITY_DAYS)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = made.add_extension(_usage(signs_others=True), critical=True)
        return cls(key, made.sign(key, hashes.SHA256()))

    @classmethod
    def kept(cls, directory: Path) -> Authority:
        """The one in a directory, which is made at the first time. Raises TargetError for one that cannot be used."""
        place = directory / "authority.pem"
        try:
            if not place.exists():
                made = cls.new()
                temporary = write_private(place, _pem_of(made._key) + made.certificate)
                # When two processes make it at the same time, both use the one that was linked first.
                with contextlib.suppress(FileExistsError):
                    os.link(temporary, place)
                temporary.unlink()
            content = place.read_bytes()
            key = serialization.load_pem_private_key(content, password=None)
            certificate = x509.load_pem_x509_certificate(content)
        except (OSError, ValueError, TypeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise TargetError(
                f"the authority of webhooks cannot be used: {reason}",
                where=str(place),
                hint="move its file away, and a new one is made; then render and apply the webhook again",
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise TargetError("the key of the authority is not that of its certificate", where=str(place))
        return cls(key, certificate)

    def issue(self, names: Sequence[str], days: int = DAYS) -> Issued:
        """A new certificate for a server with these names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        made = _builder(subject, self._certificate.subject, key.public_key(), days)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        made = made.add_extension(_usage(signs_others=False), critical=True)
        signed = made.sign(self._key, hashes.SHA256())
        pem = signed.public_bytes(serialization.Encoding.PEM)
        return Issued(certificate=pem, key=_pem_of(key), ends=signed.not_valid_after_utc)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_others: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_others,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_others,
        crl_sign=signs_others,
        encipher_only=False,
        decipher_only=False,
    )


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
