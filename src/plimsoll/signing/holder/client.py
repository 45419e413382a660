"""Has statements signed by the process that holds the key."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import TargetError
from plimsoll.signing.holder.messages import Answered, Asked, receive, send

if TYPE_CHECKING:
    from plimsoll.signing.dsse import Signed
    from plimsoll.signing.keys import KeyRing
    from plimsoll.signing.simple import Bare

ANSWER_LIMIT = 90.0
"""Seconds for one answer: the holder may wait for the lock of its log."""


def have_signed(place: Path, payload: bytes, keys: KeyRing) -> Signed:
    """An envelope round a payload, signed by the ring's own key. Raises TargetError with the holder's reason."""
    from plimsoll.signing.dsse import NotAnEnvelope, Signed, open_envelope

    answer = _ask(place, Asked(do="sign", payload=payload))
    _require_key(answer.key_id, keys.own_id(), place)
    try:
        opened = open_envelope(answer.envelope)
    except NotAnEnvelope as error:
        raise TargetError("the holder of the signing key gave no signature", where=str(place)) from error
    if opened.payload != payload:
        raise TargetError("the holder of the signing key signed something else", where=str(place))
    return Signed(envelope=answer.envelope, key_id=answer.key_id)


def have_signed_document(place: Path, payload: bytes, keys: KeyRing) -> Bare:
    """A bare signature of a document about an image, by the ring's own key. Raises TargetError."""
    from plimsoll.signing.simple import Bare

    answer = _ask(place, Asked(do="sign-document", payload=payload))
    _require_key(answer.key_id, keys.own_id(), place)
    return Bare(signature=answer.signature, key_id=answer.key_id)


def require_held(place: Path, key_id: str) -> None:
    """Raise TargetError unless the holder runs, holds this key, and answers this process."""
    _require_key(_ask(place, Asked(do="hello")).key_id, key_id, place)


def held_key(place: Path) -> dict[str, object]:
    """The public key of a holder, as JSON. Raises TargetError when it does not run, or refuses this process."""
    return _ask(place, Asked(do="hello")).key


def _require_key(found: str, expected: str, place: Path) -> None:
    if found != expected:
        raise TargetError(
            f"the holder has the key {found[:16] or '?'}, and the key of this ring is {expected[:16] or 'not known'}",
            where=str(place),
            hint="start the holder again after a rotation, or name it anew: plimsoll key use --holder SOCKET",
            lasting=True,
        )


def _ask(place: Path, asked: Struct) -> Answered:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_LIMIT)
            connection.connect(str(place))
            send(connection, asked)
            answer = msgspec.json.decode(receive(connection), type=Answered)
    except TimeoutError as error:
        message = f"the holder of the signing key did not answer within {ANSWER_LIMIT:g} s"
        raise TargetError(message, where=str(place), hint="look at its output, and start it again") from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        hint = "start it: plimsoll key hold"
        raise TargetError("the holder of the signing key does not run", where=str(place), hint=hint) from error
    except (*UNREADABLE, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        message = f"the holder of the signing key cannot be asked: {reason}"
        hint = "it answers its own user, and those whom it was started for: plimsoll key hold --allow USER"
        raise TargetError(message, where=str(place), hint=hint) from error
    if answer.refused:
        raise TargetError(answer.refused, where=str(place), hint=answer.hint, lasting=True)
    return answer
