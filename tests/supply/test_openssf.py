"""Signatures in the format of the OpenSSF: written over digests that are known, and refused for any other files."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from plimsoll.errors import ModelRefused
from plimsoll.signing import private_keys
from plimsoll.signing.conditions import Conditions
from plimsoll.signing.key_files import pem_of
from plimsoll.signing.keys import KeyRing
from plimsoll.signing.sigstore import BUNDLE
from plimsoll.signing.trusting import take_file
from plimsoll.supply.openssf import PREDICATE, check_files, files_of, open_bundle, sign_files

FILES = {"weights/model.bin": b"weights", "config.json": b"{}", "weights-2.bin": b"more"}
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    ring = KeyRing(tmp_path / "keys")
    ecdsa = private_keys.generate("ecdsa")
    private_keys.write_private(ring.private, private_keys.encoded(ecdsa, None)).replace(ring.private)
    return ring


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_bytes(content)
    return tmp_path / "model"


def test_a_bundle_is_read_as_the_format_says_with_a_public_key_alone(keys: KeyRing) -> None:
    bundle = msgspec.json.decode(sign_files("triage@2", DIGESTS, keys))

    envelope = bundle["dsseEnvelope"]
    payload, (signature,) = base64.b64decode(envelope["payload"]), envelope["signatures"]
    pem = pem_of(keys.own_key()).encode()
    public = load_pem_public_key(pem)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    kind = envelope["payloadType"].encode()
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    public.verify(base64.b64decode(signature["sig"]), encoded, ec.ECDSA(SHA256()))
    assert bundle["mediaType"] == BUNDLE
    assert bundle["verificationMaterial"]["publicKey"]["hint"] == hashlib.sha256(pem).hexdigest()
    about = msgspec.json.decode(payload)
    listed = [(each["name"], each["digest"]) for each in about["predicate"]["resources"]]
    assert listed == sorted(DIGESTS.items())
    root = hashlib.sha256(b"".join(bytes.fromhex(digest) for _, digest in listed)).hexdigest()
    assert (about["predicateType"], about["subject"]) == (PREDICATE, [{"name": "triage@2", "digest": {"sha256": root}}])


def test_the_files_that_were_signed_are_verified(keys: KeyRing, model: Path) -> None:
    signed = open_bundle(sign_files("triage@2", DIGESTS, keys), keys)

    check_files(signed, files_of(model), str(model))
    assert (signed.name, signed.signed_by) == ("triage@2", keys.own_id())


def test_a_signature_that_model_signing_wrote_is_verified(tmp_path: Path) -> None:
    # `model_signing sign key` of version 1.1.1 wrote it, with the private half of key.pub.
    given = Path(__file__).parent / "model_signing"
    ring = KeyRing(tmp_path / "keys")
    take_file(ring, given / "key.pub", ("models",), None)
    for name, content in {"a.bin": b"weights", "sub/b.json": b"{}", "sub-c": b"c"}.items():
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_bytes(content)

    signed = open_bundle((given / "model.sig").read_bytes(), ring)
    check_files(signed, files_of(tmp_path / "model"), "model")
    assert (signed.name, ".gitattributes" in signed.ignored) == ("model", True)
    with pytest.raises(ModelRefused, match=r"trusted for models:other, and this is models:model"):
        ring.set_conditions(signed.signed_by, Conditions(scopes=("models:other",)))
        open_bundle((given / "model.sig").read_bytes(), ring)


def altered(model: Path) -> None:
    (model / "config.json").write_bytes(b"{ }")


def added(model: Path) -> None:
    (model / "weights" / "run.py").write_bytes(b"print()")


def missing(model: Path) -> None:
    (model / "weights-2.bin").unlink()


def renamed(model: Path) -> None:
    (model / "config.json").rename(model / "Config.json")


def linked(model: Path) -> None:
    (model / "config.json").unlink()
    (model / "config.json").symlink_to(model / "weights-2.bin")


def linked_directory(model: Path) -> None:
    (model / "weights").rename(model.parent / "weights")
    (model / "weights").symlink_to(model.parent / "weights")


def piped(model: Path) -> None:
    os.mkfifo(model / "pipe")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (altered, "config.json was altered"),
        (added, "weights/run.py is in no list that was signed"),
        (missing, "weights-2.bin is missing"),
        (renamed, "config.json is missing; Config.json is in no list"),
        (linked, "config.json is a link"),
        (linked_directory, "weights is a link"),
        (piped, "pipe is no regular file"),
    ],
)
def test_any_other_tree_is_refused(keys: KeyRing, model: Path, change: Callable[[Path], None], message: str) -> None:
    signed = open_bundle(sign_files("triage@2", DIGESTS, keys), keys)
    change(model)
    with pytest.raises(ModelRefused, match=message):
        check_files(signed, files_of(model), str(model))


def with_payload(content: bytes, change: Callable[[Any], None]) -> bytes:
    bundle = msgspec.json.decode(content)
    about = msgspec.json.decode(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    change(about)
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(msgspec.json.encode(about)).decode()
    return msgspec.json.encode(bundle)


def test_a_bundle_that_was_altered_or_is_by_a_stranger_is_refused(keys: KeyRing, tmp_path: Path) -> None:
    content = sign_files("triage@2", DIGESTS, keys)

    def rename(about: Any) -> None:
        about["subject"][0]["name"] = "other@1"

    with pytest.raises(ModelRefused, match="was altered"):
        open_bundle(with_payload(content, rename), keys)
    stranger = KeyRing(tmp_path / "stranger")
    stranger.signer()
    with pytest.raises(ModelRefused, match="none such is trusted here"):
        open_bundle(content, stranger)
    with pytest.raises(ModelRefused, match="no signature in a bundle"):
        open_bundle(b"{}", keys)
    bundle = msgspec.json.decode(content)
    with pytest.raises(ModelRefused, match="signed with a certificate, and only keys"):
        open_bundle(msgspec.json.encode(bundle | {"verificationMaterial": {"certificate": {"rawBytes": "AA=="}}}), keys)
    twice = bundle["dsseEnvelope"] | {"signatures": bundle["dsseEnvelope"]["signatures"] * 2}
    with pytest.raises(ModelRefused, match="2 signatures"):
        open_bundle(msgspec.json.encode(bundle | {"dsseEnvelope": twice}), keys)


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "a/../b", "", ".", "a//b"])
def test_names_that_lead_out_are_refused_though_they_are_signed(keys: KeyRing, name: str) -> None:
    with pytest.raises(ModelRefused, match="no file of a model has"):
        open_bundle(sign_files("triage@2", {name: "ab" * 32}, keys), keys)


def test_a_list_that_contradicts_its_digest_is_refused_though_it_is_signed(
    keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plimsoll.supply.openssf._root", lambda _files: "0" * 64)
    content = sign_files("triage@2", DIGESTS, keys)
    monkeypatch.undo()
    with pytest.raises(ModelRefused, match="contradicts the digest"):
        open_bundle(content, keys)
