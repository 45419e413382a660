"""Devices follow the key of their owner, and trust none that was revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from plimsoll.edge.documents import STATE, DesiredState
from plimsoll.edge.envelopes import seal, unseal
from plimsoll.edge.key_statements import DeviceTrust, statements_of, take_statements
from plimsoll.errors import ModelRefused
from plimsoll.signing.keys import KeyFiles, KeyRing
from plimsoll.signing.revocation import revoke
from plimsoll.signing.rotation import rotate

NOW = datetime.now(UTC)
WANTED = DesiredState(
    group="cabs", counter=1, issued=NOW, expires=NOW + timedelta(days=1), sync=60.0, release=1, services=(), reach=1.0
)


@pytest.fixture
def owner(tmp_path: Path) -> KeyRing:
    ring = KeyRing(tmp_path / "keys")
    ring.signer()
    return ring


@pytest.fixture
def device(tmp_path: Path, owner: KeyRing) -> DeviceTrust:
    place = tmp_path / "owner"
    place.mkdir()
    key = owner.own_key()
    (place / f"{key.keyid}.json").write_bytes(msgspec.json.encode({"keyid": key.keyid, **key.to_dict()}))
    return DeviceTrust(place)


def state_of(owner: KeyRing) -> bytes:
    return seal("cabs/state", STATE, WANTED, owner)


def taken(envelope: bytes, device: DeviceTrust) -> str:
    return unseal(envelope, "cabs/state", STATE, DesiredState, KeyFiles(device.trusted))[1]


def test_an_owner_with_one_key_has_no_statements(owner: KeyRing) -> None:
    assert statements_of(owner) is None


def test_a_device_follows_the_new_key_and_takes_states_of_before(owner: KeyRing, device: DeviceTrust) -> None:
    before, old = state_of(owner), owner.own_id()
    rotate(owner)
    after = state_of(owner)
    with pytest.raises(ModelRefused, match="not trusted here"):
        taken(after, device)

    statements = statements_of(owner)
    assert statements is not None
    assert take_statements(statements, device) == [f"took the key {owner.own_id()[:16]} in place of {old[:16]}"]
    assert take_statements(statements, device) == []
    assert taken(after, device) == owner.own_id()
    assert taken(before, device) == old


def test_a_device_takes_nothing_of_a_revoked_key(owner: KeyRing, device: DeviceTrust) -> None:
    before, old = state_of(owner), owner.own_id()
    rotate(owner)
    revoke(owner, old, "compromised")
    statements = statements_of(owner)
    assert statements is not None

    told = take_statements(statements, device)
    assert told[-1] == f"the key {old[:16]} is revoked: compromised"
    with pytest.raises(ModelRefused, match=r"revoked on .* \(compromised\)"):
        taken(before, device)
    assert taken(state_of(owner), device) == owner.own_id()


def test_statements_of_a_stranger_change_nothing(owner: KeyRing, device: DeviceTrust, tmp_path: Path) -> None:
    stranger = KeyRing(tmp_path / "stranger")
    stranger.signer()
    old = stranger.own_id()
    rotate(stranger)
    revoke(stranger, old, "lost")
    statements = statements_of(stranger)
    assert statements is not None

    assert take_statements(statements, device) == []
    assert taken(state_of(owner), device) == owner.own_id()
    assert take_statements(b'[{}, 1, "x"]', device) == []
    with pytest.raises(ModelRefused, match="cannot be read"):
        take_statements(b"{", device)
