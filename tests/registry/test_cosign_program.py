"""What is signed here is verified by `cosign` 3 itself, and the other way round, in a real registry."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from plimsoll.errors import ModelRefused
from plimsoll.registry.cosign import LogPlace, sign_artifact, verify_artifact
from plimsoll.registry.references import Reference
from plimsoll.registry.rekor_client import Api
from plimsoll.registry.repository import Repository
from plimsoll.registry.transfer import push_model
from plimsoll.signing.key_files import pem_of
from plimsoll.signing.keys import KeyFiles, KeyRing
from plimsoll.signing.notes import LogKey
from plimsoll.signing.private_keys import ALGORITHMS, Algorithm, encoded, generate, write_private
from tests.servers import registry as registry_process

from .conftest import register
from .test_cosign import pushed
from .transparency_log import TransparencyLog, transparency_log

pytestmark = [pytest.mark.slow, pytest.mark.series]
NO_LOG = "--insecure-ignore-tlog=true"
NO_BUNDLE = "--new-bundle-format=false"


@pytest.fixture(scope="module")
def program() -> Path:
    found = folder_of(BY_NAME["cosign"]) / "cosign"
    if not found.exists():
        pytest.skip("needs cosign: python -m lab.build cosign")
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with registry_process(tmp_path_factory.mktemp("server"), in_memory=True) as reference:
        yield reference


@pytest.fixture
def repository(server: Reference, tmp_path: Path) -> Iterator[Repository]:
    with Repository(server.below(f"a{abs(hash(tmp_path))}")) as repository:
        yield repository


def cosign(program: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home), "COSIGN_PASSWORD": "", "COSIGN_YES": "true"}
    return subprocess.run(
        [str(program), *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False, cwd=home
    )


def ring_with(tmp_path: Path, algorithm: Algorithm) -> KeyRing:
    keys = KeyRing(tmp_path / "keys")
    write_private(keys.private, encoded(generate(algorithm), None)).rename(keys.private)
    keys.signer()
    (tmp_path / "cosign.pub").write_text(pem_of(keys.own_key()))
    return keys


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_cosign_verifies_the_bundles_that_are_made_here(
    program: Path, repository: Repository, tmp_path: Path, algorithm: Algorithm
) -> None:
    keys = ring_with(tmp_path, algorithm)
    good, bad = pushed(repository), pushed(repository, b"other", tag="2")
    sign_artifact(repository, good, keys, ("bundle",))
    verify = ("verify", "--key", "cosign.pub", NO_LOG)

    done = cosign(program, tmp_path, *verify, str(repository.reference.at(good)))
    refused = cosign(program, tmp_path, *verify, str(repository.reference.at(bad)))

    assert done.returncode == 0, done.stderr
    assert good in done.stdout
    assert refused.returncode != 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_cosign_verifies_the_tags_that_are_made_here(
    program: Path, repository: Repository, tmp_path: Path, algorithm: Algorithm
) -> None:
    keys = ring_with(tmp_path, algorithm)
    good = pushed(repository)
    sign_artifact(repository, good, keys, ("tag",))

    done = cosign(
        program, tmp_path, "verify", "--key", "cosign.pub", NO_LOG, NO_BUNDLE, str(repository.reference.at(good))
    )

    assert done.returncode == 0, done.stderr
    assert good in done.stdout


def test_cosign_refuses_what_another_key_has_signed(program: Path, repository: Repository, tmp_path: Path) -> None:
    digest = pushed(repository)
    sign_artifact(repository, digest, KeyRing(tmp_path / "others"))
    ring_with(tmp_path, "ecdsa")

    done = cosign(program, tmp_path, "verify", "--key", "cosign.pub", NO_LOG, str(repository.reference.at(digest)))

    assert done.returncode != 0


def test_cosign_verifies_a_model(program: Path, repository: Repository, tmp_path: Path) -> None:
    from plimsoll.registry.models import ModelRegistry

    models = ModelRegistry(tmp_path / "registry", ring_with(tmp_path, "ecdsa"))
    version = register(models)
    push_model(models, version, repository)
    sign_artifact(repository, version.digest, models.keys)

    where = str(repository.reference.at(version.digest))
    assert cosign(program, tmp_path, "verify", "--key", "cosign.pub", NO_LOG, where).returncode == 0


@pytest.mark.parametrize("form", ["bundle", "tag"])
def test_what_cosign_signs_is_verified_here(program: Path, repository: Repository, tmp_path: Path, form: str) -> None:
    digest = pushed(repository)
    made = cosign(program, tmp_path, "generate-key-pair")
    assert made.returncode == 0, made.stderr
    (tmp_path / "config.json").write_text('{"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"}')
    where = str(repository.reference.at(digest))
    options = (
        ("--signing-config", "config.json")
        if form == "bundle"
        else ("--tlog-upload=false", NO_BUNDLE, "--use-signing-config=false")
    )

    signed = cosign(program, tmp_path, "sign", "--key", "cosign.key", *options, where)
    assert signed.returncode == 0, signed.stderr

    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "cosign.pub").write_text((tmp_path / "cosign.pub").read_text())
    assert verify_artifact(repository, digest, KeyFiles(trusted)).form == form
    ring_with(tmp_path / "mine", "ecdsa")
    with pytest.raises(ModelRefused, match="no key that is trusted here"):
        verify_artifact(repository, digest, KeyRing(tmp_path / "mine" / "keys"))


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_cosign_verifies_the_proof_of_the_log(program: Path, repository: Repository, tmp_path: Path, api: Api) -> None:
    """The log stands in for Rekor; that cosign takes its proofs shows that it answers as Rekor does."""
    keys = ring_with(tmp_path, "ecdsa")
    logged, unlogged = pushed(repository), pushed(repository, b"other", tag="2")
    verify = ("verify", "--key", "cosign.pub", "--trusted-root", "root.json")
    with transparency_log() as log:
        sign_artifact(repository, logged, keys, ("bundle",), LogPlace(url=log.url, api=api, key=LogKey(log.pem)))
        sign_artifact(repository, unlogged, keys, ("bundle",))
        (tmp_path / "root.json").write_text(json.dumps(trusted_root(log)))

    done = cosign(program, tmp_path, *verify, str(repository.reference.at(logged)))
    refused = cosign(program, tmp_path, *verify, str(repository.reference.at(unlogged)))

    assert done.returncode == 0, done.stderr
    assert refused.returncode != 0


def trusted_root(log: TransparencyLog) -> dict[str, object]:
    key = {
        "rawBytes": base64.b64encode(log.der).decode(),
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        "validFor": {"start": "2020-01-01T00:00:00Z"},
    }
    log_id = {"keyId": base64.b64encode(hashlib.sha256(log.der).digest()).decode()}
    entry = {"baseUrl": log.url, "hashAlgorithm": "SHA2_256", "publicKey": key, "logId": log_id}
    return {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "tlogs": [entry]}
