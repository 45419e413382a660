"""Documents in DSSE envelopes round in-toto statements, and the refusal of everything else.

An envelope names what it is about (`group/state`, `group/device/report`) and the digest of the document inside, so that
a document of one group or device cannot stand for that of another.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.edge.documents import MAX_DOCUMENT
from plimsoll.errors import ModelRefused
from plimsoll.signing import dsse
from plimsoll.signing.keys import KeyRing, TrustedKeys

Document = TypeVar("Document", bound=msgspec.Struct)


def seal(about: str, predicate_type: str, document: msgspec.Struct, keys: KeyRing) -> bytes:
    """The document in an envelope that the ring's own key has signed."""
    content = msgspec.json.encode(document)
    statement = dsse.statement({about: _digest(content)}, predicate_type, msgspec.Raw(content))
    return dsse.sign_payload(msgspec.json.encode(statement), keys).envelope


def unseal(
    envelope: bytes, about: str, predicate_type: str, kind: type[Document], keys: TrustedKeys
) -> tuple[Document, str]:
    """The document of an envelope, and the id of the trusted key that signed it. Raises ModelRefused for any other."""
    if len(envelope) > MAX_DOCUMENT:
        raise ModelRefused(f"{about} has more than {MAX_DOCUMENT} bytes")
    try:
        opened = dsse.open_envelope(envelope)
    except dsse.NotAnEnvelope as error:
        raise ModelRefused(f"{about} cannot be read: it is no signed document") from error
    if not opened.key_id:
        raise ModelRefused(f"{about} is not signed")
    try:
        opened.verify(keys)
    except ModelRefused as error:
        raise ModelRefused(f"{about} is refused: {error.message}", where=error.where, hint=error.hint) from error
    except dsse.WrongSignature as error:
        raise ModelRefused(f"the signature of {about} is not by the key that it names: it was altered") from error
    return _document(opened.payload, opened.payload_type, about, predicate_type, kind), opened.key_id


class _Subject(msgspec.Struct, frozen=True):
    name: str
    digest: dict[str, str]


@decodable
class _Statement(msgspec.Struct, frozen=True):
    type: str = msgspec.field(name="_type")
    subject: tuple[_Subject]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: msgspec.Raw


def _document(payload: bytes, payload_type: str, about: str, predicate_type: str, kind: type[Document]) -> Document:
    try:
        found = msgspec.json.decode(payload, type=_Statement)
        content = bytes(found.predicate)
        said = (payload_type, found.type, found.subject[0].name, found.predicate_type)
        if said != (dsse.PAYLOAD_TYPE, dsse.STATEMENT, about, predicate_type):
            raise ModelRefused(f"the signed document is {found.subject[0].name}, not {about}")
        if found.subject[0].digest.get("sha256") != _digest(content):
            raise ModelRefused(f"{about} does not have the digest that was signed")
        return msgspec.json.decode(content, type=kind)
    except UNREADABLE as error:
        raise ModelRefused(f"{about} is signed and cannot be read: {error}") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
