"""Signatures as cosign has them, against a real registry; cosign itself is in `test_cosign_program`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from plimsoll.errors import ModelRefused, TargetError
from plimsoll.registry.cosign import FORMS, Form, sign_artifact, verify_artifact
from plimsoll.registry.cosign_tags import SIGNATURE_ANNOTATION, tag_of
from plimsoll.registry.layout import EMPTY_CONFIG, INDEX, MANIFEST, Manifest
from plimsoll.registry.references import Reference
from plimsoll.registry.repository import Repository
from plimsoll.signing.conditions import Conditions
from plimsoll.signing.key_files import pem_of
from plimsoll.signing.keys import KeyFiles, KeyRing
from plimsoll.signing.revocation import revoke
from plimsoll.signing.simple import sign_document
from tests.servers import registry as registry_process

ONE_FORM = pytest.mark.parametrize("form", FORMS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with registry_process(tmp_path_factory.mktemp("server"), in_memory=True) as reference:
        yield reference


@pytest.fixture
def repository(server: Reference, tmp_path: Path) -> Iterator[Repository]:
    with Repository(server.below(f"a{abs(hash(tmp_path))}")) as repository:
        yield repository


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys")


def pushed(repository: Repository, content: bytes = b"weights", tag: str = "1") -> str:
    """The digest of a small artifact in a repository."""
    layer = repository.push_bytes(content, "application/octet-stream")
    manifest = Manifest(artifact_type="a/b", config=repository.push_bytes(b"{}", EMPTY_CONFIG), layers=(layer,))
    return repository.push_manifest(manifest.encoded(), MANIFEST, tag=tag)


def trusted_by(other: KeyRing, keys: KeyRing) -> KeyRing:
    """A ring that trusts the own key of another."""
    other.signer()
    (other.trusted / f"{keys.own_id()}.json").write_bytes((keys.trusted / f"{keys.own_id()}.json").read_bytes())
    return other


@ONE_FORM
def test_what_a_trusted_key_has_signed_is_verified_by_the_public_key_alone(
    repository: Repository, keys: KeyRing, tmp_path: Path, form: Form
) -> None:
    digest = pushed(repository)

    assert sign_artifact(repository, digest, keys, (form,)) == (form,)

    (tmp_path / "pub").mkdir()
    (tmp_path / "pub" / "cosign.pub").write_text(pem_of(keys.own_key()))
    found = verify_artifact(repository, digest, KeyFiles(tmp_path / "pub"))
    assert (found.signed_by, found.form) == (keys.own_id(), form)


def test_signing_again_adds_nothing_and_another_key_adds_its_own(
    repository: Repository, keys: KeyRing, tmp_path: Path
) -> None:
    digest = pushed(repository)
    sign_artifact(repository, digest, keys)

    assert sign_artifact(repository, digest, keys) == ()
    other = KeyRing(tmp_path / "others")
    assert sign_artifact(repository, digest, other) == FORMS

    assert verify_artifact(repository, digest, keys, ("tag",)).signed_by == keys.own_id()
    assert verify_artifact(repository, digest, other, ("tag",)).signed_by == other.own_id()
    assert verify_artifact(repository, digest, other, ("bundle",)).signed_by == other.own_id()


@ONE_FORM
def test_what_nobody_has_signed_is_refused(repository: Repository, keys: KeyRing, form: Form) -> None:
    keys.signer()

    with pytest.raises(ModelRefused, match="not signed"):
        verify_artifact(repository, pushed(repository), keys, (form,))


@ONE_FORM
def test_a_key_that_is_not_trusted_counts_for_nothing(
    repository: Repository, keys: KeyRing, tmp_path: Path, form: Form
) -> None:
    digest = pushed(repository)
    sign_artifact(repository, digest, KeyRing(tmp_path / "others"), (form,))
    keys.signer()

    with pytest.raises(ModelRefused, match="no key that is trusted here"):
        verify_artifact(repository, digest, keys, (form,))


@ONE_FORM
def test_a_key_that_was_revoked_counts_for_nothing(
    repository: Repository, keys: KeyRing, tmp_path: Path, form: Form
) -> None:
    digest = pushed(repository)
    sign_artifact(repository, digest, keys, (form,))
    other = trusted_by(KeyRing(tmp_path / "others"), keys)
    assert verify_artifact(repository, digest, other, (form,)).signed_by == keys.own_id()

    revoke(other, keys.own_id(), "compromised")

    with pytest.raises(ModelRefused, match="was revoked on"):
        verify_artifact(repository, digest, other, (form,))


@ONE_FORM
def test_a_key_that_has_expired_counts_for_nothing(repository: Repository, keys: KeyRing, form: Form) -> None:
    digest = pushed(repository)
    sign_artifact(repository, digest, keys, (form,))

    keys.set_conditions(keys.own_id(), Conditions(expires=datetime.now(UTC) - timedelta(seconds=1)))

    with pytest.raises(ModelRefused, match="expired on"):
        verify_artifact(repository, digest, keys, (form,))


@ONE_FORM
def test_a_signature_of_one_manifest_does_not_count_for_another(
    repository: Repository, keys: KeyRing, form: Form
) -> None:
    """Somebody who may push hangs a true signature onto what was never signed."""
    good, bad = pushed(repository), pushed(repository, b"poison", tag="2")
    sign_artifact(repository, good, keys, (form,))
    if form == "tag":
        repository.push_manifest(repository.manifest(tag_of(good)).content, MANIFEST, tag=tag_of(bad))
    else:
        (entry,) = repository.referrers(good, "application/vnd.dev.sigstore.bundle.v0.3+json")
        stolen = json.loads(repository.manifest(entry.digest).content)
        stolen["subject"]["digest"] = bad
        stolen["subject"]["size"] = len(repository.manifest(bad).content)
        subject = msgspec.convert(stolen["subject"], type=type(entry))
        repository.push_referrer(json.dumps(stolen).encode(), subject, stolen["artifactType"])

    with pytest.raises(ModelRefused, match="about another digest"):
        verify_artifact(repository, bad, keys, (form,))


@ONE_FORM
def test_an_altered_signature_is_refused(repository: Repository, keys: KeyRing, form: Form) -> None:
    digest = pushed(repository)
    sign_artifact(repository, digest, keys, (form,))
    if form == "tag":
        manifest = json.loads(repository.manifest(tag_of(digest)).content)
        text = manifest["layers"][0]["annotations"][SIGNATURE_ANNOTATION]
        manifest["layers"][0]["annotations"][SIGNATURE_ANNOTATION] = ("A" if text[0] != "A" else "B") + text[1:]
        repository.push_manifest(json.dumps(manifest).encode(), MANIFEST, tag=tag_of(digest))
    else:
        (entry,) = repository.referrers(digest, "application/vnd.dev.sigstore.bundle.v0.3+json")
        manifest = json.loads(repository.manifest(entry.digest).content)
        bundle = json.loads(repository.blob(msgspec.convert(manifest["layers"][0], type=type(entry)), "x"))
        text = bundle["dsseEnvelope"]["signatures"][0]["sig"]
        bundle["dsseEnvelope"]["signatures"][0]["sig"] = ("A" if text[0] != "A" else "B") + text[1:]
        new = repository.push_bytes(json.dumps(bundle).encode(), manifest["artifactType"])
        repository.delete("manifests", entry.digest)
        manifest["layers"] = [msgspec.to_builtins(new)]
        subject = msgspec.convert(manifest["subject"], type=type(entry))
        for listed in (subject.digest.replace(":", "-"),):
            if known := repository.has_manifest(listed):
                repository.delete("manifests", known)
        repository.push_referrer(json.dumps(manifest).encode(), subject, manifest["artifactType"])

    with pytest.raises(ModelRefused, match="no key that is trusted here"):
        verify_artifact(repository, digest, keys, (form,))


@ONE_FORM
def test_a_key_limited_to_one_repository_vouches_for_no_other(
    server: Reference, repository: Repository, keys: KeyRing, form: Form
) -> None:
    own = repository.reference.repository
    digest = pushed(repository)
    keys.signer()
    keys.set_conditions(keys.own_id(), Conditions(scopes=(f"images:{own}",)))
    sign_artifact(repository, digest, keys, (form,))
    assert verify_artifact(repository, digest, keys, (form,)).signed_by == keys.own_id()

    with Repository(server.below("elsewhere")) as other:
        assert pushed(other) == digest
        with pytest.raises(TargetError, match="may not sign images:"):
            sign_artifact(other, digest, keys, (form,))
        _copy_signatures(repository, other, digest, form)
        with pytest.raises(ModelRefused, match="is limited to images:"):
            verify_artifact(other, digest, keys, (form,))


def test_an_index_of_images_is_signed_as_it_is(repository: Repository, keys: KeyRing) -> None:
    one = pushed(repository)
    size = len(repository.manifest(one).content)
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{"mediaType": MANIFEST, "digest": one, "size": size}],
    }
    digest = repository.push_manifest(json.dumps(index).encode(), INDEX, tag="all")

    sign_artifact(repository, digest, keys)

    assert verify_artifact(repository, digest, keys).digest == digest
    with pytest.raises(ModelRefused, match="not signed"):
        verify_artifact(repository, one, keys)


def test_bytes_that_are_no_document_are_not_signed_without_an_envelope(keys: KeyRing) -> None:
    """They could be the encoding of an envelope about anything."""
    for content in (b"DSSEv1 28 application/vnd.in-toto+json 2 {}", b"{}", b'{"critical": {"type": "x"}}'):
        with pytest.raises(TargetError, match="document of simple signing"):
            sign_document(content, keys)


def _copy_signatures(source: Repository, to: Repository, digest: str, form: Form) -> None:
    if form == "tag":
        manifest = source.manifest(tag_of(digest)).decoded()
    else:
        (entry,) = source.referrers(digest, "application/vnd.dev.sigstore.bundle.v0.3+json")
        manifest = source.manifest(entry.digest).decoded()
    for each in (manifest.config, *manifest.layers):
        to.push_bytes(source.blob(each, "a signature"), each.media_type)
    if form == "tag":
        to.push_manifest(manifest.encoded(), MANIFEST, tag=tag_of(digest))
    else:
        assert manifest.subject is not None
        to.push_referrer(manifest.encoded(), manifest.subject, manifest.artifact_type)
