"""The key with which a server signs the checkpoints of its audit log, and the owner's word that it is this key.

The server has a key of its own: a server that is broken into gives away its log from then on, and neither models nor
bundles. The owner's signing key certifies it once, where the service is started.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import ModelRefused, TargetError
from plimsoll.signing.dsse import NotAnEnvelope, WrongSignature, open_envelope, sign_payload, statement
from plimsoll.signing.keys import KeyRing, TrustedKeys

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

PREDICATE = "https://plimsoll.dev/audit-key/v1"
OWNER_ONLY = 0o600
KEY, CERTIFICATES = "key.pem", "certificates"


class Checkpoints:
    """Signs with the key in a directory. Raises TargetError when it cannot be read."""

    def __init__(self, directory: Path) -> None:
        self._signer = _read(directory / KEY)
        self.key_id = str(self._signer.public_key.keyid)

    def sign(self, text: bytes) -> str:
        """The signature of a text, in hexadecimal digits."""
        return str(self._signer.sign(text).signature)


def prepare_key(directory: Path, service: str, keys: KeyRing) -> None:
    """Make the key of a service's audit log unless there is one, and certify it. Raises TargetError."""
    path = directory / KEY
    try:
        (directory / CERTIFICATES).mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        public = _read(path).public_key
        certificate = directory / CERTIFICATES / f"{public.keyid}.json"
        if _still_counts(certificate, service, keys):
            return
        described = {**public.to_dict(), "keyid": public.keyid}
        about = statement({_subject(service): _digest(described)}, PREDICATE, described)
        temporary = certificate.with_name(f".{certificate.name}.{secrets.token_hex(8)}")
        temporary.write_bytes(sign_payload(msgspec.json.encode(about), keys).envelope)
        temporary.replace(certificate)
    except OSError as error:
        message = f"the key of the audit log cannot be written: {error.strerror}"
        raise TargetError(message, where=str(path)) from error


class CertifiedKeys:
    """The keys that the owner has certified for a service. `problems` says which certificates are none."""

    def __init__(self, directory: Path, service: str, trusted: TrustedKeys) -> None:
        self._keys: dict[str, Mapping[str, object]] = {}
        self.problems: list[str] = []
        paths = sorted(directory.joinpath(CERTIFICATES).glob("*.json"))
        for path in paths:
            try:
                described = _certified(path.read_bytes(), service, trusted)
            except (ModelRefused, OSError) as error:
                self.problems.append(f"{path}: {error}")
            else:
                self._keys[str(described["keyid"])] = described

    def __bool__(self) -> bool:
        return bool(self._keys)

    def verifies(self, key_id: str, signature: str, text: bytes) -> bool:
        """Whether a certified key has signed this text."""
        from securesystemslib.exceptions import Error
        from securesystemslib.signer import Key, Signature

        described = self._keys.get(key_id)
        if described is None:
            return False
        try:
            key = Key.from_dict(key_id, {name: value for name, value in described.items() if name != "keyid"})
            key.verify_signature(Signature(key_id, signature), text)
        except (Error, KeyError, ValueError, TypeError):
            return False
        return True


def _certified(envelope: bytes, service: str, trusted: TrustedKeys) -> Mapping[str, object]:
    """The public key in a certificate. Raises ModelRefused."""
    try:
        opened = open_envelope(envelope)
        opened.verify(trusted)
        about = msgspec.json.decode(opened.payload)
        described: dict[str, object] = about["predicate"]
        expected = statement({_subject(service): _digest(described)}, PREDICATE, described)
    except (NotAnEnvelope, WrongSignature, *UNREADABLE, KeyError, TypeError) as error:
        raise ModelRefused("the certificate of the audit log's key cannot be read, or was altered") from error
    if about != expected:
        raise ModelRefused(f"the certificate is not for the audit log of service {service}")
    return described


def _still_counts(certificate: Path, service: str, trusted: TrustedKeys) -> bool:
    """Whether a certificate is there that counts: the owner's key may have expired, or been revoked, since."""
    try:
        _certified(certificate.read_bytes(), service, trusted)
    except (ModelRefused, OSError):
        return False
    return True


def _subject(service: str) -> str:
    return f"audit:{service}"


def _digest(described: Mapping[str, object]) -> str:
    return hashlib.sha256(msgspec.json.encode(described, order="deterministic")).hexdigest()


def _make(path: Path) -> None:
    from securesystemslib.signer import CryptoSigner

    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(CryptoSigner.generate_ed25519().private_bytes)
    temporary.replace(path)


def _read(path: Path) -> CryptoSigner:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from securesystemslib.signer import CryptoSigner

    try:
        return CryptoSigner(load_pem_private_key(path.read_bytes(), password=None))
    except (OSError, ValueError, TypeError) as error:
        message = f"the key of the audit log cannot be used: {getattr(error, 'strerror', None) or error}"
        hint = "restore it, or move it away, and the next start makes a new one"
        raise TargetError(message, where=str(path), hint=hint) from error
