"""Signs with a key that never leaves a token: a smart card or an HSM, by PKCS#11 (extra `pkcs11`).

The PIN is the first line of the file that the address names (`pin-source`), or the value of PLIMSOLL_TOKEN_PIN. It is
given to the token once for a signature: a wrong one is not tried again, because tokens lock themselves.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from securesystemslib.signer import Key, SecretsHandler, Signature, Signer, SSlibKey

from plimsoll.errors import FileError, MissingExtra, TargetError
from plimsoll.files import open_regular
from plimsoll.signing.token_uris import TokenUri, parse_token_uri

if TYPE_CHECKING:
    import pkcs11

Found = TypeVar("Found")
Library: TypeAlias = Any  # Any: the binding names no type for a loaded library
PIN = "PLIMSOLL_TOKEN_PIN"
"""The variable with the PIN of a token. No step of a run is given it."""
MODULE = "PLIMSOLL_PKCS11_MODULE"
"""The variable with the path of the token's library, where the address names none."""
ANSWER_LIMIT = 60.0
"""Seconds for the token: one that asks for a touch waits for its owner."""
_MOST_PIN = 1024
_ED25519 = bytes.fromhex("06032b6570")
_EDWARDS = bytes.fromhex("130c656477617264733235353139")
"""How tokens name Ed25519: by its identifier, or as older ones do by the name `edwards25519`."""
_P256 = bytes.fromhex("06082a8648ce3d030107")
_SPKI_ED25519 = bytes.fromhex("302a300506032b6570032100")
_SPKI_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


class TokenSigner(Signer):  # type: ignore[misc]  # the library of signatures has no types
    """A key in a token, as the library of signatures takes it."""

    def __init__(self, uri: str) -> None:
        """Find the key. Raises FileError for the address, MissingExtra, and TargetError for the token."""
        self.uri = uri
        self._about = parse_token_uri(uri)
        self._key = self._within(lambda session: _public_key(session, self._about))

    @property
    def public_key(self) -> Key:
        """The public half."""
        return self._key

    def sign(self, payload: bytes) -> Signature:
        """A signature by the token. Raises TargetError."""
        made = self._within(lambda session: _signed(session, self._about, payload))
        return Signature(str(self._key.keyid), made.hex())

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> TokenSigner:
        """What the library asks of a signer; the PIN comes from the places of this module alone."""
        return cls(priv_key_uri)

    def _within(self, act: Callable[[pkcs11.Session], Found]) -> Found:
        """What comes of an act in a session that is logged in. Raises TargetError, also when the token is silent."""
        library, secret = _library(self._about), _pin(self._about)
        done: Future[Found] = Future()

        def run() -> None:
            try:
                done.set_result(_in_session(library, self._about, secret, act))
            except BaseException as error:  # noqa: BLE001 - it is raised again in the thread of the caller
                done.set_exception(error)

        threading.Thread(target=run, daemon=True, name="token").start()
        try:
            return done.result(ANSWER_LIMIT)
        except TimeoutError:
            hint = "touch it, if it asks for that; look at its connection"
            raise TargetError(
                f"the token did not answer within {ANSWER_LIMIT:g} s", where=self.uri[:200], hint=hint
            ) from None


def _in_session(library: Library, about: TokenUri, secret: str | None, act: Callable[[pkcs11.Session], Found]) -> Found:
    from pkcs11 import exceptions

    where = f"token {about.token or about.serial or 'of any name'}"
    try:
        with _token(library, about).open(user_pin=secret) as session:
            return act(session)
    except (exceptions.PinIncorrect, exceptions.PinInvalid, exceptions.PinLenRange, exceptions.ArgumentsBad) as error:
        hint = f"correct it in {about.pin_source or PIN}; a token locks itself after some wrong ones"
        raise TargetError("the token refuses the PIN", where=where, hint=hint, lasting=True) from error
    except exceptions.PinLocked as error:
        hint = "its security officer unlocks it"
        raise TargetError("the token has locked itself", where=where, hint=hint, lasting=True) from error
    except exceptions.PKCS11Error as error:
        # The library has a type for each code of the standard, and a text for few of them.
        told = str(error) or type(error).__name__
        raise TargetError(f"the token refuses: {told}", where=where, hint="look at the token's own tools") from error


def _library(about: TokenUri) -> Library:
    path = about.module or os.environ.get(MODULE, "")
    if not path:
        hint = f"add ?module-path=/path/of/the/library.so, or set {MODULE}"
        raise FileError("the address names no library of the token", where="pkcs11:", hint=hint)
    try:
        import pkcs11
    except ImportError as error:
        raise MissingExtra("pkcs11", "signing with a key in a token") from error
    try:
        return pkcs11.lib(path)
    except (pkcs11.exceptions.PKCS11Error, RuntimeError, OSError) as error:
        hint = "name the library that came with the token"
        raise TargetError(f"the library of the token cannot be loaded: {error}", where=path, hint=hint) from error


def _pin(about: TokenUri) -> str | None:
    if not about.pin_source:
        return os.environ.get(PIN) or None
    try:
        with open_regular(Path(about.pin_source)) as file:
            return file.read(_MOST_PIN).split(b"\n")[0].rstrip(b"\r").decode() or None
    except (OSError, UnicodeDecodeError) as error:
        raise FileError("the PIN of the token cannot be read", where=about.pin_source) from error


def _token(library: Library, about: TokenUri) -> pkcs11.Token:
    every: list[pkcs11.Token] = [slot.get_token() for slot in library.get_slots(token_present=True)]
    found = [each for each in every if _fits(each, about)]
    if len(found) != 1:
        labels = ", ".join(str(each.label)[:32] for each in every[:8]) or "none"
        how = "several tokens fit the address" if found else "there is no such token"
        hint = f"tokens are here: {labels}; name one with token=, serial= or slot-id="
        raise TargetError(how, where=about.token or "pkcs11:", hint=hint)
    return found[0]


def _fits(token: pkcs11.Token, about: TokenUri) -> bool:
    told = {"token": token.label, "manufacturer": token.manufacturer_id, "model": token.model}
    wanted = {"token": about.token, "manufacturer": about.manufacturer, "model": about.model}
    return (
        bool(token.flags & _initialized())
        and all(not text or str(told[name]).strip() == text for name, text in wanted.items())
        and (not about.serial or bytes(token.serial).decode(errors="replace").strip() == about.serial)
        and (about.slot is None or token.slot.slot_id == about.slot)
    )


def _initialized() -> Any:  # Any: a flag of a library without types for it
    from pkcs11.constants import TokenFlag

    return TokenFlag.TOKEN_INITIALIZED


def _object(session: pkcs11.Session, about: TokenUri, *, private: bool) -> Any:  # Any: the library's objects have none
    from pkcs11 import Attribute, ObjectClass

    kind = ObjectClass.PRIVATE_KEY if private else ObjectClass.PUBLIC_KEY
    wanted: dict[Any, Any] = {Attribute.CLASS: kind}
    if about.label:
        wanted[Attribute.LABEL] = about.label
    if about.identity:
        wanted[Attribute.ID] = about.identity
    found = list(session.get_objects(wanted))
    if len(found) != 1:
        half = "private" if private else "public"
        how = f"{len(found)} {half} keys fit the address" if found else f"the token has no such {half} key"
        hint = "name it with object= and id=; a token that needs a PIN shows no private keys without one"
        raise TargetError(how, where=about.label or about.identity.hex(), hint=hint)
    return found[0]


def _public_key(session: pkcs11.Session, about: TokenUri) -> SSlibKey:
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from pkcs11 import Attribute

    public = _object(session, about, private=False)
    _object(session, about, private=True)
    curve, point = bytes(public[Attribute.EC_PARAMS]), bytes(public[Attribute.EC_POINT])
    # The point is in an octet string, of fewer than 128 bytes.
    point = point[2:] if point[:1] == b"\x04" and len(point) == point[1] + 2 else point
    if curve == _P256:
        return SSlibKey.from_crypto(load_der_public_key(_SPKI_P256 + point))
    if curve in (_ED25519, _EDWARDS):
        return SSlibKey.from_crypto(load_der_public_key(_SPKI_ED25519 + point))
    hint = "make one of Ed25519, or ECDSA on P-256"
    raise TargetError("the key in the token is of another kind", where=about.label or about.identity.hex(), hint=hint)


def _signed(session: pkcs11.Session, about: TokenUri, payload: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from pkcs11 import Attribute, Mechanism

    key = _object(session, about, private=True)
    if bytes(key[Attribute.EC_PARAMS]) != _P256:
        return bytes(key.sign(payload, mechanism=Mechanism.EDDSA))
    made = bytes(key.sign(hashlib.sha256(payload).digest(), mechanism=Mechanism.ECDSA))
    half = len(made) // 2
    return encode_dss_signature(int.from_bytes(made[:half], "big"), int.from_bytes(made[half:], "big"))
