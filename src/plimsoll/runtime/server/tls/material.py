"""The files of a server's encryption, read and checked: a server that starts with them can open connections."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from msgspec import Struct

from plimsoll.errors import TargetError

LARGEST = 4 << 20
"""Bytes of a file."""
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)
"""What the library raises for bytes that are not what they should be."""


class Material(Struct, frozen=True, kw_only=True):
    """What the files say. `revoked` are serial numbers by the issuer's name; they hold until `known_until`."""

    chain: bytes
    key: bytes
    clients: bytes = b""
    authorities: tuple[x509.Certificate, ...] = ()
    revoked: Mapping[bytes, frozenset[int]] = {}
    known_until: datetime | None = None


def read_material(certificate: Path, key: Path, clients: Path | None, revoked: Path | None) -> Material:
    """Raises TargetError that names the file, for one that is not what it should be or does not fit the others."""
    chain = _content(certificate, "the certificate")
    leaf = _certificates(chain, certificate, "certificate")[0]
    secret = _content(key, "the key")
    found = _public(_private_key(secret, key))
    if key.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        raise TargetError("everybody may read the key", where=str(key), hint=f"chmod o= {key}")
    if found != leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise TargetError(f"this is not the key of {certificate.name}", where=str(key), hint="name the key it is for")
    _require_valid(leaf, certificate)
    given = _content(clients, "the authorities of clients") if clients is not None else b""
    authorities = _certificates(given, clients, "certificate of an authority") if clients is not None else ()
    lists = _revocations(revoked, authorities) if revoked is not None else ()
    return Material(
        chain=chain,
        key=secret,
        clients=given,
        authorities=authorities,
        revoked=_serials(lists),
        known_until=min((each.next_update_utc for each in lists if each.next_update_utc), default=None),
    )


def leaf_of(certificate: Path) -> str:
    """The server's own certificate as PEM, without those that follow it in its file. Raises TargetError."""
    first = _certificates(_content(certificate, "the certificate"), certificate, "certificate")[0]
    return first.public_bytes(Encoding.PEM).decode()


def is_by_one_of(certificate: x509.Certificate, authorities: tuple[x509.Certificate, ...]) -> bool:
    """Whether one of the authorities has signed a certificate itself."""
    return any(_has_signed(each, certificate) for each in authorities)


def _has_signed(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (*_UNREADABLE, InvalidSignature):
        return False
    return True


def _content(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise TargetError(f"{what} cannot be read: {error.strerror}", where=str(path)) from error
    if len(content) > LARGEST:
        raise TargetError(f"{what} has more than {LARGEST} bytes", where=str(path))
    return content


def _certificates(content: bytes, path: Path, what: str) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(content))
    except _UNREADABLE as problem:
        hint = "a file in PEM begins with -----BEGIN CERTIFICATE-----"
        raise TargetError(f"this is no {what}: {problem}", where=str(path), hint=hint) from problem


def _private_key(content: bytes, path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(content, password=None)
    except TypeError as problem:
        hint = "a server cannot ask for a passphrase: openssl pkey -in KEY -out PLAIN, for its owner only"
        raise TargetError("the key is encrypted", where=str(path), hint=hint) from problem
    except _UNREADABLE as problem:
        raise TargetError("this is no private key in PEM", where=str(path)) from problem


def _public(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _require_valid(leaf: x509.Certificate, path: Path) -> None:
    now = datetime.now(UTC)
    if now >= leaf.not_valid_after_utc:
        message = f"the certificate has ended on {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        raise TargetError(message, where=str(path), hint="have its authority give a new one")
    if now < leaf.not_valid_before_utc:
        message = f"the certificate begins on {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        raise TargetError(message, where=str(path), hint="check the clock of this machine")


def _revocations(path: Path, authorities: tuple[x509.Certificate, ...]) -> tuple[x509.CertificateRevocationList, ...]:
    """The lists in a file, each signed by one of the authorities and still valid. Raises TargetError."""
    end = b"-----END X509 CRL-----"
    pieces = _content(path, "the list of revoked certificates").split(end)[:-1]
    if not pieces:
        hint = "a list in PEM begins with -----BEGIN X509 CRL-----"
        raise TargetError("this is no list of revoked certificates", where=str(path), hint=hint)
    found = []
    for piece in pieces:
        try:
            found.append(x509.load_pem_x509_crl(piece + end + b"\n"))
        except _UNREADABLE as problem:
            raise TargetError(f"this is no list of revoked certificates: {problem}", where=str(path)) from problem
    for each in found:
        _require_signed(each, authorities, path)
    return tuple(found)


def _require_signed(
    revoked: x509.CertificateRevocationList, authorities: tuple[x509.Certificate, ...], path: Path
) -> None:
    issuer = revoked.issuer.rfc4514_string()[:200]
    try:
        signed = any(
            each.subject == revoked.issuer and revoked.is_signature_valid(each.public_key())  # type: ignore[arg-type]
            for each in authorities
        )
    except _UNREADABLE:
        signed = False
    if not signed:
        hint = "name the authority's certificate in clients, or take its list out"
        raise TargetError(f"no authority in clients has signed the list of '{issuer}'", where=str(path), hint=hint)
    if revoked.next_update_utc is not None and datetime.now(UTC) >= revoked.next_update_utc:
        message = f"the list of '{issuer}' has ended on {revoked.next_update_utc:%Y-%m-%d %H:%M} UTC"
        raise TargetError(message, where=str(path), hint="have the authority give a new one")


def _serials(lists: tuple[x509.CertificateRevocationList, ...]) -> Mapping[bytes, frozenset[int]]:
    found: dict[bytes, frozenset[int]] = {}
    for each in lists:
        serials = frozenset(entry.serial_number for entry in each)
        name = each.issuer.public_bytes()
        found[name] = found.get(name, frozenset()) | serials
    return found
