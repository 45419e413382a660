"""Keys are rotated, limited, expire and are revoked, and every verification obeys."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from plimsoll.errors import FileError, ModelRefused, TargetError
from plimsoll.signing import private_keys
from plimsoll.signing.claims import Claim, scope_problem
from plimsoll.signing.conditions import Conditions, strictest
from plimsoll.signing.dsse import sign, verify
from plimsoll.signing.key_files import pem_of, read_key_file
from plimsoll.signing.keys import KeyFiles, KeyRing
from plimsoll.signing.log_reading import verify_log
from plimsoll.signing.revocation import revoke, take_revocation
from plimsoll.signing.rotation import NEXT, open_rotation, rotate, take_rotation
from plimsoll.signing.trusting import take_file

DIGEST = "sha256:" + "ab" * 32
HOUR = timedelta(hours=1)


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    ring = KeyRing(tmp_path / "keys")
    ring.signer()
    return ring


def own(ring: KeyRing) -> str:
    return ring.own_id()


def friend_of(ring: KeyRing, place: Path) -> KeyRing:
    """A ring that trusts the own key of another one."""
    friend = KeyRing(place)
    take_file(friend, ring.trusted / f"{own(ring)}.json", (), None)
    return friend


def signed_with_the_old(ring: KeyRing, old: str, reference: str) -> bytes:
    """What somebody signs with a key that was rotated away."""
    thief = KeyRing(ring.directory.parent / "thief")
    thief.directory.mkdir(exist_ok=True)
    shutil.copy(ring.directory / "retired" / f"{old}.pem", thief.private)
    return sign(reference, DIGEST, {}, thief)


def test_what_a_key_signed_before_its_rotation_counts_and_nothing_afterwards(keys: KeyRing, tmp_path: Path) -> None:
    friend, old = friend_of(keys, tmp_path / "friend"), own(keys)
    before = sign("triage@1", DIGEST, {}, keys)

    rotated = rotate(keys)
    assert (rotated.old, rotated.new, rotated.signed, rotated.countersigned) == (old, own(keys), 1, True)
    after = sign("triage@2", DIGEST, {}, keys)
    forged = signed_with_the_old(keys, old, "triage@3")
    with pytest.raises(ModelRefused, match="not trusted here"):
        verify(after, "triage@2", DIGEST, friend)
    take_rotation((keys.directory / "rotations" / f"{old}.json").read_bytes(), friend)

    for ring in (keys, friend, KeyFiles(keys.trusted), KeyFiles(friend.trusted)):
        assert verify(before, "triage@1", DIGEST, ring) == old
        assert verify(after, "triage@2", DIGEST, ring) == own(keys)
        with pytest.raises(ModelRefused, match=r"was retired on .*, and this is none of what it had signed by then"):
            verify(forged, "triage@3", DIGEST, ring)
    assert verify_log(keys).findings == ()


def test_what_was_signed_before_there_was_a_log_counts_when_it_is_named(keys: KeyRing) -> None:
    envelope, old = sign("triage@1", DIGEST, {}, keys), own(keys)
    (entry,) = verify_log(keys).read.entries[1:]
    shutil.rmtree(keys.directory / "log")

    rotate(keys, also=[entry.statement])
    assert verify(envelope, "triage@1", DIGEST, keys) == old


def test_rotations_follow_each_other(keys: KeyRing, tmp_path: Path) -> None:
    friend = friend_of(keys, tmp_path / "friend")
    for number in range(1, 4):
        envelope, old = sign(f"triage@{number}", DIGEST, {}, keys), own(keys)
        rotate(keys)
        take_rotation((keys.directory / "rotations" / f"{old}.json").read_bytes(), friend)
        assert verify(envelope, f"triage@{number}", DIGEST, friend) == old
    assert verify_log(keys).findings == ()


def test_a_second_successor_of_a_key_is_refused(keys: KeyRing, tmp_path: Path) -> None:
    friend, old = friend_of(keys, tmp_path / "friend"), own(keys)
    thief = KeyRing(tmp_path / "thief")
    shutil.copytree(keys.directory, thief.directory)
    for ring in (keys, thief):
        rotate(ring)
    ours, theirs = ((ring.directory / "rotations" / f"{old}.json").read_bytes() for ring in (keys, thief))

    take_rotation(ours, friend)
    take_rotation(ours, friend)
    with pytest.raises(ModelRefused, match="has another successor already"):
        take_rotation(theirs, friend)


def test_a_rotation_that_was_altered_or_is_signed_by_one_key_alone_is_refused(keys: KeyRing, tmp_path: Path) -> None:
    friend, old = friend_of(keys, tmp_path / "friend"), own(keys)
    rotate(keys)
    content = (keys.directory / "rotations" / f"{old}.json").read_bytes()
    envelope = msgspec.json.decode(content)
    assert open_rotation(content, friend).new == own(keys)

    for at in (0, 1):
        with pytest.raises(ModelRefused, match="not signed by the key"):
            take_rotation(msgspec.json.encode(envelope | {"signatures": [envelope["signatures"][at]]}), friend)
    with pytest.raises(ModelRefused, match="no statement about the rotation"):
        take_rotation(sign("triage@1", DIGEST, {}, keys), friend)
    with pytest.raises(ModelRefused, match="not trusted here"):
        take_rotation(content, KeyRing(tmp_path / "stranger"))


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_rotation_that_was_broken_off_is_carried_on(
    keys: KeyRing, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    envelope, old = sign("triage@1", DIGEST, {}, keys), own(keys)
    successor = keys.directory / NEXT
    real = Path.replace
    made: list[Path] = []

    def killed(path: Path, target: Path) -> Path:
        if path in (keys.private, successor):
            if len(made) == min(moves, 1):
                raise KeyboardInterrupt
            made.append(path)
        return real(path, target)

    monkeypatch.setattr(Path, "replace", killed)
    if moves == 2:
        monkeypatch.setattr("plimsoll.signing.rotation._retire", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        rotate(keys)
    monkeypatch.undo()
    if moves != 2:
        with pytest.raises(TargetError, match=r"may not sign|is lost"):
            sign("triage@2", DIGEST, {}, keys)

    rotated = rotate(keys)
    assert (rotated.old, own(keys) != old, successor.exists()) == (old, True, False)
    assert verify(envelope, "triage@1", DIGEST, keys) == old
    assert verify(sign("triage@2", DIGEST, {}, keys), "triage@2", DIGEST, keys) == rotated.new


def test_a_lost_key_is_replaced_without_its_word(keys: KeyRing) -> None:
    envelope, old = sign("triage@1", DIGEST, {}, keys), own(keys)
    keys.private.unlink()

    rotated = rotate(keys)
    assert not rotated.countersigned
    assert verify(envelope, "triage@1", DIGEST, keys) == old
    assert verify(sign("triage@2", DIGEST, {}, keys), "triage@2", DIGEST, keys) == own(keys) != old


def test_nothing_of_a_revoked_key_counts_anywhere(keys: KeyRing, tmp_path: Path) -> None:
    friend, old = friend_of(keys, tmp_path / "friend"), own(keys)
    before = sign("triage@1", DIGEST, {}, keys)
    rotate(keys)
    take_rotation((keys.directory / "rotations" / f"{old}.json").read_bytes(), friend)

    about = revoke(keys, old, "compromised", "found on a shared disk")
    take_revocation((keys.revoked / f"{old}.json").read_bytes(), friend)

    assert about.reason == "compromised"
    for ring in (keys, friend, KeyFiles(keys.trusted), KeyFiles(friend.trusted)):
        with pytest.raises(ModelRefused, match=r"revoked on .* UTC \(compromised: found on a shared disk\)"):
            verify(before, "triage@1", DIGEST, ring)


def test_a_revoked_key_is_not_trusted_again_by_its_old_file(keys: KeyRing, tmp_path: Path) -> None:
    other = KeyRing(tmp_path / "other")
    other.signer()
    envelope, file = sign("triage@1", DIGEST, {}, other), other.trusted / f"{own(other)}.json"
    take_file(keys, file, (), None)
    revoke(keys, own(other), "left")

    assert "stays as it is: revoked" in take_file(keys, file, (), None).told
    shutil.copy(file, keys.trusted)
    with pytest.raises(ModelRefused, match="revoked on"):
        verify(envelope, "triage@1", DIGEST, keys)
    assert '"revoked"' in keys.files()[file.name]
    (keys.revoked / file.name).write_bytes(b"\xff")
    with pytest.raises(ModelRefused, match="revoked on"):
        verify(envelope, "triage@1", DIGEST, keys)


def test_only_its_owner_revokes_a_key_for_others(keys: KeyRing, tmp_path: Path) -> None:
    friend = friend_of(keys, tmp_path / "friend")
    other = friend_of(keys, tmp_path / "other")
    other.signer()
    take_file(friend, other.trusted / f"{own(other)}.json", (), None)
    revoke(other, own(keys), "compromised")

    with pytest.raises(ModelRefused, match=r"may not revoke the key(.|\n)*neither that key nor its successor"):
        take_revocation((other.revoked / f"{own(keys)}.json").read_bytes(), friend)
    assert verify(sign("triage@1", DIGEST, {}, keys), "triage@1", DIGEST, friend) == own(keys)


def test_the_key_that_signs_is_not_revoked_without_a_successor(keys: KeyRing) -> None:
    with pytest.raises(TargetError, match=r"signs here(.|\n)*plimsoll key rotate"):
        revoke(keys, own(keys), "compromised")
    with pytest.raises(ModelRefused, match="not trusted here"):
        revoke(keys, "f" * 64, "compromised")


def test_an_expired_key_neither_signs_nor_counts_until_its_owner_rotates_it(keys: KeyRing, tmp_path: Path) -> None:
    envelope, old = sign("triage@1", DIGEST, {}, keys), own(keys)
    keys.set_conditions(old, Conditions(expires=datetime.now(UTC) - HOUR))

    with pytest.raises(ModelRefused, match=r"expired on(.|\n)*plimsoll key rotate"):
        verify(envelope, "triage@1", DIGEST, keys)
    with pytest.raises(TargetError, match=r"may not sign models:triage@2: it expired"):
        sign("triage@2", DIGEST, {}, keys)
    with pytest.raises(TargetError, match="it expired"):
        keys.require_usable(Claim(digest="", kind="models", names=("triage",), subjects=1))
    friend = KeyRing(tmp_path / "friend")
    take_file(friend, keys.trusted / f"{old}.json", (), None)

    rotate(keys)
    assert verify(envelope, "triage@1", DIGEST, keys) == old
    with pytest.raises(ModelRefused, match="has expired here, and can vouch for no other"):
        take_rotation((keys.directory / "rotations" / f"{old}.json").read_bytes(), friend)


@pytest.mark.parametrize(
    ("scopes", "reference", "counts"),
    [
        ((), "triage@2", True),
        (("models",), "triage@2", True),
        (("models:triage*",), "triage@2", True),
        (("models:triage",), "triage@2", True),
        (("models:triage@2",), "triage@2", True),
        (("models:wear", "bundles"), "triage@2", False),
        (("bundles", "registry"), "triage@2", False),
        (("models:tri",), "triage@2", False),
    ],
)
def test_a_key_counts_for_what_it_is_limited_to(
    keys: KeyRing, scopes: tuple[str, ...], reference: str, counts: bool
) -> None:
    envelope = sign(reference, DIGEST, {}, keys)
    keys.set_conditions(own(keys), Conditions(scopes=scopes))

    for ring in (keys, KeyFiles(keys.trusted)):
        if counts:
            assert verify(envelope, reference, DIGEST, ring) == own(keys)
        else:
            with pytest.raises(ModelRefused, match=r"is trusted for .*, and this is models:triage@2"):
                verify(envelope, reference, DIGEST, ring)
    if not counts:
        with pytest.raises(TargetError, match="it is limited to"):
            sign(reference, DIGEST, {}, keys)


@pytest.mark.parametrize("scope", ["", "model", "models:", "everything:*"])
def test_a_text_that_is_no_scope_is_told(scope: str) -> None:
    assert "no scope" in scope_problem(scope)


def test_a_successor_counts_for_no_more_than_the_key_before_it(keys: KeyRing, tmp_path: Path) -> None:
    friend, old = KeyRing(tmp_path / "friend"), own(keys)
    take_file(friend, keys.trusted / f"{old}.json", ("models:triage*", "registry"), None)
    rotate(keys)
    take_rotation((keys.directory / "rotations" / f"{old}.json").read_bytes(), friend)

    assert friend.conditions(own(keys)).scopes == ("models:triage*", "registry")


def test_copies_of_a_key_take_no_condition_away() -> None:
    now = datetime.now(UTC)
    both = strictest([Conditions(expires=now, scopes=("models",)), Conditions(scopes=("bundles",))])

    assert both.expires == now
    claims = [Claim(digest="", kind=kind, names=("x",), subjects=1) for kind in ("models", "bundles")]
    assert not any(claim.is_within(both.scopes) for claim in claims)


def test_a_key_of_cosign_and_one_of_openssl_are_trusted_by_their_pem(tmp_path: Path) -> None:
    signer = KeyRing(tmp_path / "signer")
    signer.directory.mkdir()
    ecdsa = private_keys.generate("ecdsa")
    private_keys.write_private(signer.private, private_keys.encoded(ecdsa, None)).replace(signer.private)
    envelope = sign("triage@1", DIGEST, {}, signer)
    (tmp_path / "cosign.pub").write_text(pem_of(ecdsa.public_key))

    ring = KeyRing(tmp_path / "keys")
    taken = take_file(ring, tmp_path / "cosign.pub", ("models",), None)
    assert taken.key == str(ecdsa.public_key.keyid)
    assert verify(envelope, "triage@1", DIGEST, ring) == taken.key


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no public key"),
        (b"{}", "no public key"),
        (b'{"keyid": 1, "keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "00"}}', "no public key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key"),
        (b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n", "this is a private key"),
    ],
)
def test_a_file_that_is_no_public_key_is_refused(keys: KeyRing, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "given").write_bytes(content)
    with pytest.raises(FileError, match=message):
        take_file(keys, tmp_path / "given", (), None)


def test_another_key_under_the_id_of_a_trusted_one_is_refused(keys: KeyRing, tmp_path: Path) -> None:
    other = KeyRing(tmp_path / "other")
    other.signer()
    described = msgspec.json.decode((other.trusted / f"{own(other)}.json").read_bytes())
    (tmp_path / "forged.json").write_bytes(msgspec.json.encode(described | {"keyid": own(keys)}))

    with pytest.raises(ModelRefused, match="another key is trusted here"):
        take_file(keys, tmp_path / "forged.json", (), None)
    assert read_key_file(keys.trusted / f"{own(keys)}.json").key == keys.signer().public_key


def test_an_encrypted_key_signs_with_its_password_alone(keys: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = private_keys.load(keys.private)
    private_keys.write_private(keys.private, private_keys.encoded(plain, b"secret")).replace(keys.private)

    with pytest.raises(TargetError, match=r"is encrypted(.|\n)*plimsoll key hold"):
        sign("triage@1", DIGEST, {}, keys)
    with pytest.raises(TargetError, match="its password is not known"):
        keys.require_usable()
    monkeypatch.setenv(private_keys.PASSWORD, "wrong")
    with pytest.raises(TargetError, match="password of the key is wrong"):
        sign("triage@1", DIGEST, {}, keys)
    monkeypatch.setenv(private_keys.PASSWORD, "secret")
    assert verify(sign("triage@1", DIGEST, {}, keys), "triage@1", DIGEST, keys) == own(keys)


def test_a_key_that_every_user_may_read_signs_nothing(keys: KeyRing) -> None:
    keys.private.chmod(0o644)
    with pytest.raises(TargetError, match=r"every user of this machine may read(.|\n)*chmod 600"):
        sign("triage@1", DIGEST, {}, keys)


def test_a_private_key_of_cosign_is_refused_with_what_to_do(keys: KeyRing) -> None:
    keys.private.write_text(
        "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"
    )
    with pytest.raises(TargetError, match=r"private key of cosign(.|\n)*cosign import-key-pair"):
        sign("triage@1", DIGEST, {}, keys)


def test_the_file_of_a_new_key_is_its_owners_alone(keys: KeyRing) -> None:
    rotate(keys)
    for path in (keys.private, *(keys.directory / "retired").iterdir()):
        assert path.stat().st_mode & 0o077 == 0
    assert keys.directory.stat().st_mode & 0o077 == 0
