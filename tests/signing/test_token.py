"""A signing key in a token: SoftHSM 2 by PKCS#11, through the verbs that a user has."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from plimsoll.cli.verbs import key
from plimsoll.errors import FileError, PlimsollError, TargetError
from plimsoll.signing import token_signer
from plimsoll.signing.dsse import sign, verify
from plimsoll.signing.keys import KeyRing
from plimsoll.signing.log_entries import read_entries
from plimsoll.signing.simple import document, sign_document, verify_document
from plimsoll.signing.token_uris import parse_token_uri

LIBRARY = Path("/usr/lib/softhsm/libsofthsm2.so")
DIGEST = "sha256:" + "ab" * 32
PIN = "73110"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tokens, of which one has keys: the library reads its settings once in a process."""
    if not LIBRARY.exists():
        pytest.skip("needs SoftHSM: apt-get install softhsm2")
    pkcs11 = pytest.importorskip("pkcs11")
    place = tmp_path_factory.mktemp("tokens")
    (place / "tokens").mkdir()
    (place / "softhsm2.conf").write_text(f"directories.tokendir = {place / 'tokens'}\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(place / "softhsm2.conf"))
        for label in ("signer", "other"):
            command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "9911", "--pin", PIN]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
        library = pkcs11.lib(str(LIBRARY))
        with library.get_token(token_label="signer").open(user_pin=PIN, rw=True) as session:
            curve = pkcs11.util.ec.encode_named_curve_parameters("secp256r1")
            _pair(session, pkcs11, pkcs11.KeyType.EC, curve, "models")
            edwards = bytes.fromhex("130c656477617264733235353139")
            _pair(session, pkcs11, pkcs11.KeyType.EC_EDWARDS, edwards, "edwards")
            other = pkcs11.util.ec.encode_named_curve_parameters("secp384r1")
            _pair(session, pkcs11, pkcs11.KeyType.EC, other, "larger")
    return place


def _pair(session: Any, pkcs11: Any, kind: Any, curve: bytes, label: str) -> None:
    parameters = session.create_domain_parameters(kind, {pkcs11.Attribute.EC_PARAMS: curve}, local=True)
    parameters.generate_keypair(store=True, label=label, id=label.encode())


@pytest.fixture
def keys(tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyRing:
    monkeypatch.setenv("SOFTHSM2_CONF", str(tokens / "softhsm2.conf"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv(token_signer.PIN, PIN)
    return KeyRing.default()


def uri(label: str = "models", token: str = "signer", more: str = "") -> str:
    return f"pkcs11:token={token};object={label}?module-path={LIBRARY}{more}"


def call(*arguments: str) -> Any:
    return CliRunner().invoke(key.command, arguments, standalone_mode=False)


def refused(*arguments: str) -> str:
    error = call(*arguments).exception
    assert isinstance(error, PlimsollError), error
    return str(error)


@pytest.mark.parametrize("label", ["models", "edwards"])
def test_what_the_token_signs_is_verified_like_anything_else(keys: KeyRing, label: str) -> None:
    said = call("use", "--token", uri(label))
    assert said.exception is None
    assert keys.own_id()[:16] in said.output

    envelope = sign("triage@2", DIGEST, {}, keys)
    assert verify(envelope, "triage@2", DIGEST, keys) == keys.own_id()
    payload = document("registry.example/shop", DIGEST)
    assert verify_document(payload, sign_document(payload, keys).signature, DIGEST, keys) == keys.own_id()
    assert not keys.private.exists()
    assert keys.log is not None
    logged = read_entries(keys.log.entries.read_bytes(), "log").entries[1:]
    assert [each.kind for each in logged] == ["models", "images"]
    assert "in a token, which gives it to nobody" in call("show").output


def test_the_pin_may_lie_in_a_file_and_stands_nowhere_in_the_ring(
    keys: KeyRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(token_signer.PIN)
    (tmp_path / "pin").write_text(f"{PIN}\n")

    assert call("use", "--token", uri(more=f"&pin-source=file:{tmp_path / 'pin'}")).exception is None

    sign("triage@2", DIGEST, {}, keys)
    written = [path.read_bytes() for path in keys.directory.rglob("*") if path.is_file()]
    assert written
    assert not any(PIN.encode() in content for content in written)


def test_a_wrong_pin_is_given_once_and_told_without_it(keys: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(token_signer.PIN, "00000")

    told = refused("use", "--token", uri())

    assert "the token refuses the PIN" in told
    assert "00000" not in told


def test_a_ring_that_signs_by_a_token_does_not_fall_back_to_a_file(
    keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("use", "--token", uri())
    monkeypatch.delenv(token_signer.PIN)

    with pytest.raises(TargetError, match="no such private key"):
        sign("triage@2", DIGEST, {}, keys)
    with pytest.raises(TargetError, match="no such private key"):
        keys.require_usable()

    assert not keys.private.exists()
    assert "in a token" in refused("rotate")
    assert "in a token" in refused("encrypt")


def test_a_token_that_was_exchanged_is_told(keys: KeyRing) -> None:
    call("use", "--token", uri())
    keys.token_file.write_text(f'{{"uri": "{uri("edwards")}"}}')

    with pytest.raises(TargetError, match="another key than the one of this ring"):
        sign("triage@2", DIGEST, {}, keys)


def test_the_key_of_the_ring_signs_again_when_it_is_asked_to(keys: KeyRing) -> None:
    sign("triage@1", DIGEST, {}, keys)
    own = keys.own_id()
    call("use", "--token", uri())
    assert keys.own_id() != own

    assert call("use", "--file").exception is None

    assert keys.own_id() == own
    assert verify(sign("triage@2", DIGEST, {}, keys), "triage@2", DIGEST, keys) == own


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (uri("nothing"), "no such public key"),
        (uri(token="gone"), "there is no such token"),
        (uri("larger"), "of another kind"),
        (uri().replace("token=signer;", "token=other;"), "no such public key"),
        (f"pkcs11:object=models?module-path={LIBRARY}", "several tokens fit"),
        ("pkcs11:token=signer;object=models?module-path=/nonexistent.so", "cannot be loaded"),
        ("pkcs11:token=signer;object=models", "no library of the token"),
    ],
)
def test_what_the_token_lacks_is_told(keys: KeyRing, address: str, told: str) -> None:
    assert told in refused("use", "--token", address)
    assert not keys.token_file.exists()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("pkcs11:object=a?pin-value=1234", "PIN does not belong"),
        ("pkcs12:object=a", "no address of a key"),
        ("pkcs11:token=a", "names no key"),
        ("pkcs11:object=a;object=b", "is there twice"),
        ("pkcs11:object=%zz", "escapes nothing"),
        ("pkcs11:object=%ff", "no text in UTF-8"),
        ("pkcs11:object=a;type=cert", "no private key"),
        ("pkcs11:object=a;slot-id=-1", "no number of a slot"),
        ("pkcs11:object=a;colour=red", "no attribute"),
        ("pkcs11:object=a?module-path=lib.so", "no absolute path"),
        ("pkcs11:object=a" + "a" * 5000, "no address of a key"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, told: str) -> None:
    with pytest.raises(FileError, match=told):
        parse_token_uri(address)


def test_addresses_are_read_as_their_standard_has_them() -> None:
    about = parse_token_uri("pkcs11:token=My%20token;object=a%3Bb;id=%01%ff;type=private?pin-source=file:/run/pin")

    assert (about.token, about.label, about.identity, about.pin_source) == ("My token", "a;b", b"\x01\xff", "/run/pin")
