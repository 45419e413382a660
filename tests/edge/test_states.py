"""Which states and reports count: right ones do, and whatever was replayed, mixed, altered or signed by others does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from plimsoll.edge.acceptance import place_in_line, refusal, wanted_of
from plimsoll.edge.documents import (
    REPORT,
    REQUEST,
    STATE,
    DesiredState,
    DeviceReport,
    EnrolmentRequest,
    Fleet,
    Invitation,
    WantedService,
)
from plimsoll.edge.envelopes import seal, unseal
from plimsoll.edge.taking_in import hear, take_in
from plimsoll.edge.tokens import Token, decode_token, encode_token, proof
from plimsoll.errors import FileError, ModelRefused
from plimsoll.signing.keys import KeyFiles, KeyRing

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SERVICE = WantedService(name="m", model="m@1", reference=f"r.example/m@sha256:{'0' * 64}")
OTHER = replace(SERVICE, model="m@2", reference=f"r.example/m@sha256:{'1' * 64}")


def desired(counter: int = 3, **settings: Any) -> DesiredState:
    given: dict[str, Any] = {
        "group": "cabs",
        "counter": counter,
        "issued": NOW,
        "expires": NOW + timedelta(days=1),
        "sync": 60.0,
        "release": 2,
        "services": (OTHER,),
        "former_release": 1,
        "former": (SERVICE,),
    }
    return DesiredState(**{**given, **settings})


@pytest.fixture
def owner(tmp_path: Path) -> KeyRing:
    ring = KeyRing(tmp_path / "owner")
    ring.signer()
    return ring


def trusted(ring: KeyRing) -> KeyFiles:
    return KeyFiles(ring.trusted)


def test_a_signed_state_is_read_as_it_was_written(owner: KeyRing) -> None:
    state = desired()
    read, key = unseal(seal("cabs/state", STATE, state, owner), "cabs/state", STATE, DesiredState, trusted(owner))
    assert (read, key) == (state, str(owner.signer().public_key.keyid))


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_state_with_any_bit_changed_is_refused_or_says_the_same(
    tmp_path_factory: pytest.TempPathFactory, where: float, bit: int
) -> None:
    ring = KeyRing(tmp_path_factory.getbasetemp() / "flipped")
    envelope = bytearray(seal("cabs/state", STATE, desired(), ring))
    envelope[int(where * len(envelope))] ^= 1 << bit
    try:
        read, _ = unseal(bytes(envelope), "cabs/state", STATE, DesiredState, trusted(ring))
    except ModelRefused:
        return
    assert read == desired()


@pytest.mark.parametrize("cut", [0, 1, 10, 200])
def test_a_state_that_is_cut_off_is_refused(owner: KeyRing, cut: int) -> None:
    with pytest.raises(ModelRefused):
        unseal(seal("cabs/state", STATE, desired(), owner)[:cut], "cabs/state", STATE, DesiredState, trusted(owner))


def test_a_state_of_another_signer_another_group_or_another_kind_is_refused(owner: KeyRing, tmp_path: Path) -> None:
    stranger = KeyRing(tmp_path / "stranger")
    for envelope in (
        seal("cabs/state", STATE, desired(), stranger),
        seal("buses/state", STATE, desired(group="buses"), owner),
        seal("cabs/state", REPORT, desired(), owner),
    ):
        with pytest.raises(ModelRefused):
            unseal(envelope, "cabs/state", STATE, DesiredState, trusted(owner))


@pytest.mark.parametrize(
    ("state", "now", "word"),
    [
        (desired(2), NOW, "old one"),
        (desired(3, reach=0.5), NOW, "another one"),
        (desired(4, group="buses"), NOW, "belongs to"),
        (desired(4, expires=NOW), NOW, "expired"),
        (desired(4, expires=NOW + timedelta(days=1)), NOW + timedelta(days=2), "expired"),
        (desired(4, services=(SERVICE, SERVICE)), NOW, "of one name"),
        # A device whose clock starts years ago knows the time of the newest state.
        (
            desired(4, issued=NOW - timedelta(days=9), expires=NOW - timedelta(days=8)),
            datetime(2000, 1, 1, tzinfo=UTC),
            "expired",
        ),
    ],
)
def test_what_is_signed_and_old_mixed_or_expired_is_refused(state: DesiredState, now: datetime, word: str) -> None:
    assert word in refusal(state, "cabs", desired(3), now)


def test_a_newer_state_and_the_same_one_again_are_taken() -> None:
    assert refusal(desired(4), "cabs", desired(3), NOW) == ""
    assert refusal(desired(3), "cabs", desired(3), NOW) == ""
    assert refusal(desired(1), "cabs", None, NOW) == ""


@given(reach=st.floats(0, 1), device=st.text("abcdefgh0123456789", min_size=1, max_size=20))
def test_a_device_in_reach_runs_the_release_and_one_out_of_reach_the_former(reach: float, device: str) -> None:
    in_reach = place_in_line(device, 2) < reach
    assert wanted_of(desired(reach=reach), device, "k") == ((2, (OTHER,)) if in_reach else (1, (SERVICE,)))


def test_a_ring_takes_about_its_share_of_the_devices_and_keeps_them() -> None:
    devices = [f"cab-{number}" for number in range(4000)]
    first = {each for each in devices if place_in_line(each, 7) < 0.05}
    second = {each for each in devices if place_in_line(each, 7) < 0.5}
    assert first < second
    assert 140 < len(first) < 260
    assert 1850 < len(second) < 2150


def test_a_revoked_device_runs_nothing() -> None:
    assert wanted_of(desired(revoked=("k",)), "cab-1", "k") == (0, ())


def token(owner: KeyRing, secret: str = "s" * 48) -> Token:
    key = owner.signer().public_key
    return Token(
        place="r.example/edge/cabs",
        group="cabs",
        device="cab-1",
        secret=secret,
        owner=str(key.keyid),
        owner_key=key.to_dict(),
        expires=NOW,
    )


def test_a_token_is_read_as_it_was_printed_and_with_a_line_end(owner: KeyRing) -> None:
    assert decode_token(encode_token(token(owner)) + "\n") == token(owner)


@pytest.mark.parametrize("spoilt", ["", "hello", "plimsoll-edge-1.", "plimsoll-edge-1.%%%", "plimsoll-edge-1.e30"])
def test_what_is_no_token_is_refused_in_one_sentence(spoilt: str) -> None:
    with pytest.raises(FileError, match="token"):
        decode_token(spoilt)


def asked(device: KeyRing, secret: str, name: str = "cab-1") -> bytes:
    key = device.signer().public_key
    request = EnrolmentRequest(
        device=name,
        key_id=str(key.keyid),
        key={"keyid": key.keyid, **key.to_dict()},
        proof=proof(secret, str(key.keyid)),
    )
    return seal(f"cabs/{name}/request", REQUEST, request, device)


def invited(secret: str = "right") -> Fleet:
    invitation = Invitation(device="cab-1", labels={"site": "north"}, secret=secret, expires=NOW + timedelta(hours=1))
    return Fleet(group="cabs", invitations={"cab-1": invitation})


def test_a_device_with_the_secret_is_taken_in_once(tmp_path: Path) -> None:
    first, second = KeyRing(tmp_path / "first"), KeyRing(tmp_path / "second")
    fleet, refused = take_in(invited(), "cab-1", asked(first, "right"), NOW)
    assert refused == ""
    assert fleet.devices["cab-1"].labels == {"site": "north"}
    again, _ = take_in(fleet, "cab-1", asked(second, "right"), NOW)
    assert again.devices["cab-1"].key_id == str(first.signer().public_key.keyid)


def test_a_device_with_a_wrong_secret_another_name_or_too_late_is_not_taken_in(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "device")
    for envelope, at in (
        (asked(ring, "wrong"), NOW),
        (asked(ring, "right", "cab-2"), NOW),
        (b"{}", NOW),
        (asked(ring, "right"), NOW + timedelta(hours=2)),
    ):
        fleet, refused = take_in(invited(), "cab-1", envelope, at)
        assert (fleet, bool(refused)) == (invited(), True)


def told(device: KeyRing, number: int, name: str = "cab-1") -> bytes:
    report = DeviceReport(device=name, number=number, at=NOW, counter=3, release=2)
    return seal(f"cabs/{name}/report", REPORT, report, device)


def test_a_report_counts_once_and_only_from_the_device_itself(tmp_path: Path) -> None:
    ring, stranger = KeyRing(tmp_path / "device"), KeyRing(tmp_path / "stranger")
    fleet, _ = take_in(invited(), "cab-1", asked(ring, "right"), NOW)
    later = NOW + timedelta(minutes=1)
    device = fleet.devices["cab-1"]
    heard, refused = hear("cabs", device, told(ring, 5), later)
    assert (refused, heard.heard) == ("", later)
    assert hear("cabs", heard, told(ring, 5), NOW + timedelta(hours=1)) == (heard, "")
    for envelope in (told(ring, 4), told(stranger, 6), told(ring, 6, "cab-2"), b"", b"\xff", json.dumps([]).encode()):
        same, refused = hear("cabs", heard, envelope, later)
        assert (same, bool(refused)) == (heard, True)
