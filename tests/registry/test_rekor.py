"""Signatures that a transparency log has taken: uploaded to a log over HTTP, verified from the bundle alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from plimsoll.cli.verbs import image
from plimsoll.errors import FileError, ModelRefused, PlimsollError
from plimsoll.registry.cosign import LogPlace, sign_artifact, verify_artifact
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.references import Reference
from plimsoll.registry.rekor_client import Api
from plimsoll.registry.repository import Repository
from plimsoll.signing.keys import KeyRing
from plimsoll.signing.merkle import is_included, leaf_hash
from plimsoll.signing.notes import LogKey, open_note
from plimsoll.signing.private_keys import encoded, generate, write_private
from tests.servers import registry as registry_process

from .test_cosign import pushed
from .transparency_log import TransparencyLog, transparency_log

RECORDED = Path(__file__).parent / "rekor" / "recorded.json"
BOTH = pytest.mark.parametrize("api", ["v1", "v2"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    with registry_process(tmp_path_factory.mktemp("server"), in_memory=True) as reference:
        yield reference


@pytest.fixture
def repository(server: Reference, tmp_path: Path) -> Iterator[Repository]:
    with Repository(server.below(f"a{abs(hash(tmp_path))}")) as repository:
        yield repository


@pytest.fixture
def log() -> Iterator[TransparencyLog]:
    with transparency_log() as log:
        yield log


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    """A ring with a key of ECDSA."""
    ring = KeyRing(tmp_path / ".config" / "plimsoll" / "keys")
    write_private(ring.private, encoded(generate("ecdsa"), None)).rename(ring.private)
    ring.signer()
    return ring


def place(log: TransparencyLog, api: Api) -> LogPlace:
    return LogPlace(url=log.url, api=api, key=LogKey(log.pem))


@BOTH
def test_the_proof_of_the_log_is_verified_without_the_log(
    repository: Repository, keys: KeyRing, log: TransparencyLog, api: Api
) -> None:
    digest = pushed(repository)

    sign_artifact(repository, digest, keys, ("bundle",), place(log, api))
    log.alter = lambda _: pytest.fail("the log was asked")

    found = verify_artifact(repository, digest, keys, log=LogKey(log.pem)).logged
    assert found is not None
    assert (found.index, found.size, found.at) == (5, 6, 1790000000 if api == "v1" else 0)


def test_what_is_in_no_log_does_not_count_where_a_log_is_asked_for(
    repository: Repository, keys: KeyRing, log: TransparencyLog
) -> None:
    digest = pushed(repository)
    sign_artifact(repository, digest, keys)

    with pytest.raises(ModelRefused, match="in no log"):
        verify_artifact(repository, digest, keys, log=LogKey(log.pem))

    assert sign_artifact(repository, digest, keys, log=place(log, "v2")) == ("bundle",)
    assert verify_artifact(repository, digest, keys, log=LogKey(log.pem)).logged is not None


def test_the_proof_of_another_log_does_not_count(repository: Repository, keys: KeyRing, log: TransparencyLog) -> None:
    digest = pushed(repository)
    sign_artifact(repository, digest, keys, ("bundle",), place(log, "v2"))

    with transparency_log() as other, pytest.raises(ModelRefused, match="not signed by the pinned key of the log"):
        verify_artifact(repository, digest, keys, log=LogKey(other.pem))


def changed(entry: Any, what: str, log: TransparencyLog) -> Any:
    """An entry of Rekor 2 that says something wrong."""
    proof = entry["inclusionProof"]
    body = json.loads(base64.b64decode(entry["canonicalizedBody"]))
    if what == "a sibling":
        proof["hashes"][0] = base64.b64encode(bytes(32)).decode()
    elif what == "no proof":
        del entry["inclusionProof"]
    elif what == "its place":
        proof["logIndex"] = "4"
    elif what == "the size":
        proof["treeSize"] = "60"
    elif what == "the root":
        proof["rootHash"] = base64.b64encode(bytes(32)).decode()
    elif what == "the signed root":
        proof["checkpoint"]["envelope"] = proof["checkpoint"]["envelope"].replace("\n6\n", "\n7\n")
        proof["treeSize"] = "7"
    elif what == "the digest":
        body["spec"]["hashedRekordV002"]["data"]["digest"] = base64.b64encode(bytes(32)).decode()
        entry["canonicalizedBody"] = base64.b64encode(json.dumps(body).encode()).decode()
    elif what == "the kind":
        entry["kindVersion"]["kind"] = "intoto"
    elif what == "an entry of somebody else":
        return log.answer_v2({"hashedRekordRequestV002": _somebody_elses(body)})
    return entry


def _somebody_elses(body: Any) -> Any:
    record = body["spec"]["hashedRekordV002"]
    signature = {**record["signature"], "content": base64.b64encode(b"another signature").decode()}
    return {"digest": record["data"]["digest"], "signature": signature}


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("a sibling", "does not lead to the signed root"),
        ("no proof", "no proof that the log has it"),
        ("its place", "does not lead to the signed root"),
        ("the size", "another tree"),
        ("the root", "another tree"),
        ("the signed root", "not signed by the pinned key"),
        ("the digest", "about another signature"),
        ("the kind", "another type than it says"),
        ("an entry of somebody else", "about another signature"),
    ],
)
def test_an_entry_that_proves_nothing_is_not_taken_from_the_log(
    repository: Repository, keys: KeyRing, log: TransparencyLog, what: str, told: str
) -> None:
    digest = pushed(repository)
    log.alter = lambda answer: changed(answer, what, log)

    with pytest.raises(ModelRefused, match=told):
        sign_artifact(repository, digest, keys, ("bundle",), place(log, "v2"))

    with pytest.raises(ModelRefused, match="not signed"):
        verify_artifact(repository, digest, keys)


def test_a_time_that_the_log_has_not_signed_is_not_taken(
    repository: Repository, keys: KeyRing, log: TransparencyLog
) -> None:
    def later(answer: Any) -> Any:
        (entry,) = answer.values()
        entry["integratedTime"] += 86400
        return answer

    log.alter = later
    with pytest.raises(ModelRefused, match="time of the entry is not signed"):
        sign_artifact(repository, pushed(repository), keys, ("bundle",), place(log, "v1"))


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b"{" * 5000, b"\xff" * 100, b" " * (2 << 20)])
@BOTH
def test_an_answer_that_is_none_is_refused(
    repository: Repository, keys: KeyRing, log: TransparencyLog, answer: bytes, api: Api
) -> None:
    log.alter = lambda _: answer

    with pytest.raises((ModelRefused, RegistryError), match="log"):
        sign_artifact(repository, pushed(repository), keys, ("bundle",), place(log, api))


def test_a_log_by_plain_http_is_on_this_machine_or_refused(
    repository: Repository, keys: KeyRing, log: TransparencyLog
) -> None:
    for url in ("http://rekor.example", "ftp://127.0.0.1", "rekor.sigstore.dev", "http://127.0.0.1.example", ""):
        with pytest.raises(FileError, match="no address of a log"):
            sign_artifact(
                repository, pushed(repository), keys, ("bundle",), LogPlace(url=url, api="v2", key=LogKey(log.pem))
            )


def test_a_key_that_the_new_log_cannot_take_is_told(
    repository: Repository, tmp_path: Path, log: TransparencyLog
) -> None:
    keys = KeyRing(tmp_path / "ed25519")
    with pytest.raises(FileError, match="Ed25519 signs no digest"):
        sign_artifact(repository, pushed(repository), keys, ("bundle",), place(log, "v2"))

    assert sign_artifact(repository, pushed(repository), keys, ("bundle",), place(log, "v1")) == ("bundle",)


def test_an_entry_of_a_real_log_is_verified() -> None:
    """Recorded from a log that Rekor itself ran: its signed head, its proof, and its signed time."""
    recorded = json.loads(RECORDED.read_bytes())
    pem = f"-----BEGIN PUBLIC KEY-----\n{recorded['key']}\n-----END PUBLIC KEY-----\n".encode()
    proof = recorded["entry"]["inclusionProof"]
    leaf = leaf_hash(base64.b64decode(recorded["entry"]["canonicalizedBody"]))

    head = open_note(proof["checkpoint"]["envelope"], LogKey(pem))

    siblings = [base64.b64decode(each) for each in proof["hashes"]]
    assert is_included(leaf, int(proof["logIndex"]), head.size, head.root, siblings)
    with pytest.raises(ModelRefused, match="not signed by the pinned key"):
        open_note(proof["checkpoint"]["envelope"].replace("\n4\n", "\n5\n"), LogKey(pem))


def test_the_verb_signs_with_a_log_and_says_where_it_is(
    repository: Repository, keys: KeyRing, log: TransparencyLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    (tmp_path / "log.pem").write_bytes(log.pem)
    pushed(repository)
    where, pinned = f"{repository.reference.name}:1", ("--rekor-key", str(tmp_path / "log.pem"))

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(image.command, arguments, standalone_mode=False)

    signed = call("sign", where, "--rekor", log.url, *pinned)
    assert "signed as bundle and tag" in signed.output, signed.exception
    verified = call("verify", where, *pinned)
    assert (verified.return_value, "entry 5 of 6 in the log 127.0.0.1" in verified.output) == (0, True)
    assert msgspec.json.decode(call("verify", where, *pinned, "--json").output)["images"][0]["logged"]["index"] == 5
    for arguments in (("sign", where, "--rekor", log.url), ("sign", where, *pinned)):
        assert isinstance(call(*arguments).exception, PlimsollError)
