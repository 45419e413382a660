"""One implementation of DSSE signs bundles and models; what is refused is refused with its reason."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest
from securesystemslib.dsse import Envelope

from plimsoll.errors import ModelRefused
from plimsoll.signing.dsse import (
    NotAnEnvelope,
    WrongSignature,
    open_envelope,
    sign,
    sign_payload,
    statement,
    verify,
)
from plimsoll.signing.keys import KeyRing

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys")


def changed(envelope: bytes, **values: Any) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(envelope) | values)


def test_what_was_signed_is_opened_and_verified(keys: KeyRing) -> None:
    signed = sign_payload(b"content", keys)
    opened = open_envelope(signed.envelope)
    opened.verify(keys)
    assert (opened.payload, opened.key_id) == (b"content", signed.key_id)


def test_another_dsse_library_reads_the_envelope(keys: KeyRing) -> None:
    about = statement({"file": "ab" * 32}, "https://example.org/v1", {"profile": "x"})
    signed = sign_payload(msgspec.json.encode(about), keys)
    read = Envelope.from_dict(msgspec.json.decode(signed.envelope))
    assert msgspec.json.decode(read.payload) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "file", "digest": {"sha256": "ab" * 32}}],
        "predicateType": "https://example.org/v1",
        "predicate": {"profile": "x"},
    }


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"payload": 1, "signatures": []}'])
def test_bytes_that_are_no_envelope_are_told(content: bytes) -> None:
    with pytest.raises(NotAnEnvelope):
        open_envelope(content)
    with pytest.raises(ModelRefused, match=r"the signature of triage@2 cannot be read: "):
        verify(content, "triage@2", DIGEST, KeyRing(Path("/nowhere")))


def test_a_payload_that_was_exchanged_has_the_wrong_signature(keys: KeyRing) -> None:
    signed = sign_payload(b"content", keys)
    payload = base64.b64encode(b"another").decode()
    with pytest.raises(WrongSignature):
        open_envelope(changed(signed.envelope, payload=payload)).verify(keys)


def test_a_model_is_vouched_for_under_its_reference_and_digest_only(keys: KeyRing) -> None:
    envelope = sign("triage@2", DIGEST, {"who": "me"}, keys)
    assert verify(envelope, "triage@2", DIGEST, keys)
    for reference, digest in (("triage@3", DIGEST), ("triage@2", "sha256:" + "cd" * 32)):
        with pytest.raises(ModelRefused) as refused:
            verify(envelope, reference, digest, keys)
        assert refused.value.message == f"the signature is for triage@2 or for another digest, not for this {reference}"


def test_a_model_without_a_signature_or_by_a_stranger_is_refused(keys: KeyRing, tmp_path: Path) -> None:
    envelope = sign("triage@2", DIGEST, {}, keys)
    with pytest.raises(ModelRefused) as refused:
        verify(changed(envelope, signatures=[]), "triage@2", DIGEST, keys)
    assert refused.value.message == "triage@2 is not signed"
    with pytest.raises(ModelRefused) as refused:
        verify(envelope, "triage@2", DIGEST, KeyRing(tmp_path / "stranger"))
    assert refused.value.message.startswith("triage@2 is refused: it is signed by the key ")


def test_a_model_whose_statement_was_altered_is_refused(keys: KeyRing) -> None:
    envelope = sign("triage@2", DIGEST, {}, keys)
    payload = base64.b64encode(b"{}").decode()
    with pytest.raises(ModelRefused) as refused:
        verify(changed(envelope, payload=payload), "triage@2", DIGEST, keys)
    assert refused.value.message == "the signature of triage@2 is not by the key that it names: it was altered"
