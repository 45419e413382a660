"""Enrolment tokens: what a device is given once, and the proof that it holds one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.edge.place import is_name
from plimsoll.errors import FileError
from plimsoll.registry.references import parse_reference

_START = "plimsoll-edge-1."
_MOST = 8192
"""Characters of a token."""
_HINT = "copy the whole line that `plimsoll edge enroll` has printed"


@decodable
class Token(Struct, frozen=True, kw_only=True):
    """Where a device finds its group, its name there, the secret, and the owner's public key by its id."""

    place: str
    group: str
    device: str
    secret: str
    owner: str
    owner_key: dict[str, object]
    expires: datetime


def encode_token(token: Token) -> str:
    """The token as one word."""
    return _START + base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")


def decode_token(text: str) -> Token:
    """Read a token. Raises FileError for anything else."""
    text = text.strip()
    if not text.startswith(_START) or len(text) > _MOST:
        raise FileError("this is no enrolment token", hint=_HINT)
    body = text.removeprefix(_START)
    try:
        token = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Token)
    except (*UNREADABLE, binascii.Error) as error:
        raise FileError("the enrolment token was cut off or altered", hint=_HINT) from error
    if not (is_name(token.group) and is_name(token.device) and token.owner.isalnum()):
        raise FileError("the enrolment token names no group and device", hint=_HINT)
    parse_reference(token.place)
    return token


def proof(secret: str, key_id: str) -> str:
    """What shows that the holder of a key holds the token's secret, in hexadecimal digits."""
    return hmac.new(secret.encode(), key_id.encode(), hashlib.sha256).hexdigest()


def proves(given: str, secret: str, key_id: str) -> bool:
    """Whether a proof is the right one, compared in constant time."""
    return hmac.compare_digest(given.encode(), proof(secret, key_id).encode())
