"""Callers who show a certificate: its names say who they are, and the file which roles they have.

Whether a certificate is good is asked when the connection is opened, by TLS. What may change while it is open is asked
at each request: its end, the lists of revoked certificates, and the authorities. Sources: RFC 5280, RFC 6125.
"""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Mapping

from cryptography import x509
from cryptography.x509.oid import NameOID
from msgspec import Struct

from plimsoll.runtime.server.identities.callers import Caller, Role, Shown
from plimsoll.runtime.server.refusals import NotReady, Unauthenticated
from plimsoll.runtime.server.tls.contexts import ServerTls
from plimsoll.runtime.server.tls.material import Material, is_by_one_of

MOST_KNOWN = 4096
"""Certificates that are remembered, so that each is read once."""
LONGEST_NAME = 255
EVERYBODY: tuple[Role, ...] = ("infer",)
"""What each certificate of the authorities may where the file names none."""


class _Known(Struct, frozen=True, gc=False):
    caller: Caller
    begins: float
    ends: float
    refused: str
    """Why it is not taken; empty when it is."""
    generation: int
    trusted: int


class Certificates:
    """The callers of one server who show certificates."""

    def __init__(self, tls: ServerTls, roles: Mapping[str, tuple[Role, ...]]) -> None:
        """`roles` are by name; without any, all certificates of the authorities have the role `infer`."""
        self._tls = tls
        self._roles = roles
        self._known: dict[bytes, _Known] = {}

    def caller(self, shown: Shown) -> Caller:
        """Who shows a certificate. Raises Unauthenticated, NotReady."""
        known = self._known.get(shown.der)
        if known is None or known.generation != self._tls.generation or known.trusted != shown.trusted:
            try:
                known = self._settled(shown)
            except ValueError as problem:
                # What the library of TLS takes may be too odd for the one that reads names.
                raise Unauthenticated("the certificate cannot be read") from problem
        now = time.time()
        if not known.begins <= now < known.ends:
            raise Unauthenticated("the certificate has expired, or is not valid yet: open a connection with a new one")
        until = self._tls.material.known_until
        if until is not None and now >= until.timestamp():
            raise NotReady("certificates cannot be judged: the list of revoked ones has ended")
        if known.refused:
            raise Unauthenticated(known.refused)
        return known.caller

    def _settled(self, shown: Shown) -> _Known:
        certificate = x509.load_der_x509_certificate(shown.der)
        names = names_of(certificate)
        mine = [name for name in names if name in self._roles]
        roles = {role for name in mine for role in self._roles[name]} if self._roles else set(EVERYBODY)
        known = _Known(
            caller=Caller(f"certificate:{(mine or [*names, ''])[0]}", frozenset(roles)),
            begins=certificate.not_valid_before_utc.timestamp(),
            ends=certificate.not_valid_after_utc.timestamp(),
            refused=self._refusal(certificate, shown) or ("" if names else "the certificate has no name"),
            generation=self._tls.generation,
            trusted=shown.trusted,
        )
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[shown.der] = known
        return known

    def _refusal(self, certificate: x509.Certificate, shown: Shown) -> str:
        material = self._tls.material
        if is_revoked(certificate, material):
            return "the certificate is revoked"
        if shown.trusted != self._tls.trusted and not is_by_one_of(certificate, material.authorities):
            return "the authorities of this server have changed: open a new connection"
        return ""


def is_revoked(certificate: x509.Certificate, material: Material) -> bool:
    """Whether a list of its authority names the certificate."""
    return certificate.serial_number in material.revoked.get(certificate.issuer.public_bytes(), frozenset())


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names of a caller: URIs, hosts and addresses of mail, or the common name of a certificate without these."""
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [
            name
            for kind in (x509.UniformResourceIdentifier, x509.DNSName, x509.RFC822Name)
            for name in alternatives.get_values_for_type(kind)
        ]
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        found = [each.value for each in common if isinstance(each.value, str)]
    except (ValueError, x509.DuplicateExtension):
        return ()
    # A name goes into logs and answers as it is.
    return tuple(name for name in found if name and name.isprintable() and len(name) <= LONGEST_NAME)


@functools.lru_cache(maxsize=1024)
def shown_by(pem: bytes, trusted: int) -> Shown:
    """A certificate as the library of gRPC gives it."""
    return Shown(ssl.PEM_cert_to_DER_cert(pem.decode("ascii")), trusted)
