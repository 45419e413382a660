"""Addresses of keys in tokens: `pkcs11:token=signer;object=models?module-path=/usr/lib/softhsm/libsofthsm2.so`. Pure.

Source: RFC 7512. A PIN in the address is refused: it would be read by everybody who sees a command line or the file.
"""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from plimsoll.errors import FileError

SCHEME = "pkcs11:"
MOST_CHARACTERS = 4096
_ATTRIBUTES = ("token", "manufacturer", "serial", "model", "object", "id", "type", "slot-id")
_QUERIES = ("module-path", "pin-source")
_HINT = "for example pkcs11:token=signer;object=models?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=/run/pin"
_BYTE = re.compile(rb"%([0-9A-Fa-f]{2})")
_ESCAPED = re.compile(r"%(?![0-9A-Fa-f]{2})")


class TokenUri(Struct, frozen=True, kw_only=True):
    """What an address says; empty where it says nothing. `identity` is the id of the key, in bytes."""

    token: str = ""
    manufacturer: str = ""
    serial: str = ""
    model: str = ""
    label: str = ""
    identity: bytes = b""
    slot: int | None = None
    module: str = ""
    pin_source: str = ""


def parse_token_uri(text: str) -> TokenUri:
    """What an address says. Raises FileError for one that is none, names no key, or has a PIN."""
    if not text.startswith(SCHEME) or len(text) > MOST_CHARACTERS or not text.isprintable():
        raise FileError("this is no address of a key in a token", where=text[:80], hint=_HINT)
    path, _, query = text.removeprefix(SCHEME).partition("?")
    found = _pairs(path, ";", _ATTRIBUTES)
    found |= _pairs(query, "&", _QUERIES)
    if found.get("type", b"private") != b"private":
        raise FileError("the address names no private key (type=private)", where=text[:200], hint=_HINT)
    if not (found.get("object") or found.get("id")):
        raise FileError("the address names no key", where=text[:200], hint=f"add object= or id=; {_HINT}")
    slot = _text(found, "slot-id")
    if slot and not (slot.isascii() and slot.isdigit() and len(slot) < len(str(1 << 32))):
        raise FileError(f"'{slot[:40]}' is no number of a slot", where="slot-id", hint=_HINT)
    return TokenUri(
        token=_text(found, "token"),
        manufacturer=_text(found, "manufacturer"),
        serial=_text(found, "serial"),
        model=_text(found, "model"),
        label=_text(found, "object"),
        identity=found.get("id", b""),
        slot=int(slot) if slot else None,
        module=_path(found, "module-path"),
        pin_source=_path(found, "pin-source"),
    )


def _pairs(text: str, separator: str, known: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for pair in text.split(separator) if text else ():
        name, equals, value = pair.partition("=")
        if name == "pin-value":
            hint = "put it into a file and name that with pin-source=, or into PLIMSOLL_TOKEN_PIN"
            raise FileError("a PIN does not belong into an address, where others can read it", where=name, hint=hint)
        if not equals or name not in known:
            hint = f"known here are {', '.join((*_ATTRIBUTES, *_QUERIES))}"
            raise FileError(f"'{name[:40]}' is no attribute of such an address here", where=SCHEME, hint=hint)
        if name in found or _ESCAPED.search(value):
            what = "is there twice" if name in found else "has a % that escapes nothing"
            raise FileError(f"'{name}' {what}", where=SCHEME, hint=_HINT)
        found[name] = _BYTE.sub(lambda byte: bytes.fromhex(byte[1].decode()), value.encode())
    return found


def _text(found: dict[str, bytes], name: str) -> str:
    try:
        return found.get(name, b"").decode()
    except UnicodeDecodeError as error:
        raise FileError(f"'{name}' is no text in UTF-8", where=SCHEME, hint=_HINT) from error


def _path(found: dict[str, bytes], name: str) -> str:
    text = _text(found, name).removeprefix("file:")
    if text and (not Path(text).is_absolute() or "\0" in text):
        raise FileError(f"'{name}' is no absolute path", where=text[:200], hint=_HINT)
    return text
