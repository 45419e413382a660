"""What the owner of a group does: invite and revoke devices, hear them, publish a release, and move it on."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from plimsoll.application.scalars import duration_in_seconds, memory_in_bytes
from plimsoll.edge.acceptance import place_in_line
from plimsoll.edge.collecting import Collected, collect_logs
from plimsoll.edge.delta_pushing import with_deltas, without_deltas
from plimsoll.edge.documents import STATE, DesiredState, Device, Fleet, Invitation, Rollout, WantedService
from plimsoll.edge.envelopes import seal, unseal
from plimsoll.edge.fleet_file import FleetFile
from plimsoll.edge.key_statements import KEYS_TAG, statements_of
from plimsoll.edge.labels import has_labels
from plimsoll.edge.moving import left, moves
from plimsoll.edge.place import STATE_TAG, EdgePlace, group_at, is_name, report_tag, request_tag
from plimsoll.edge.releasing import upload_rule
from plimsoll.edge.rollout import Ring, ring_of, step
from plimsoll.edge.taking_in import hear, take_in
from plimsoll.edge.tokens import Token, encode_token
from plimsoll.errors import FileError, ModelRefused
from plimsoll.kinds.edge import Edge, share
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.references import Reference, parse_reference
from plimsoll.signing.keys import KeyRing

TOKEN_LIFE = timedelta(hours=24)
READERS = 8
"""Reports that are read at once."""


class Owner:
    """The owner's side of one group, for one command. `say` gets what was refused, a line each."""

    def __init__(self, root: Path, group: str, edge: Edge, keys: KeyRing, say: Callable[[str], None]) -> None:
        self._root = root
        self._file = FleetFile(root, group)
        self._edge = edge
        self._keys = keys
        self._say = say
        self._reference = place_of(edge, group)
        self._place = EdgePlace(self._reference)

    def close(self) -> None:
        """Close connections."""
        self._place.close()

    @property
    def place(self) -> str:
        """Where the devices of the group look."""
        return str(self._reference)

    def fleet(self) -> Fleet:
        """The group as it was known last."""
        return self._file.read()

    def enroll(self, device: str, labels: dict[str, str], life: timedelta = TOKEN_LIFE) -> str:
        """A token for a new device, or for one that lost its disk; the old token counts no more. Raises FileError."""
        if not is_name(device):
            hint = "use at most 62 lower-case letters, digits and '-'"
            raise FileError(f"'{device[:80]}' cannot be the name of a device", hint=hint)
        key = self._keys.own_key()
        with self._file.locked():
            fleet = self._file.read()
            known = fleet.devices.get(device)
            if known is not None and known.revoked is None and known.moved:
                hint = "choose another name: the logs of that device are below this one"
                raise FileError(f"the device {device} was enrolled here, and has moved to {left(known)}", hint=hint)
            if known is not None and known.revoked is None:
                hint = f"revoke it first: plimsoll edge revoke {fleet.group} {device}"
                raise FileError(f"the device {device} is enrolled already", hint=hint)
            secret, expires = secrets.token_hex(24), datetime.now(UTC) + life
            invitation = Invitation(device=device, labels=labels, secret=secret, expires=expires)
            self._file.write(replace(fleet, invitations={**fleet.invitations, device: invitation}))
        token = Token(
            place=str(self._reference),
            group=fleet.group,
            device=device,
            secret=secret,
            owner=str(key.keyid),
            owner_key={"keyid": key.keyid, **key.to_dict()},
            expires=expires,
        )
        return encode_token(token)

    def listen(self) -> Fleet:
        """Take in devices that ask for it, and read the reports. Raises RegistryError."""
        with self._file.locked():
            fleet = self._heard(self._file.read())
            self._file.write(fleet)
        return fleet

    def revoke(self, device: str) -> Fleet:
        """Take a device out: the next state names it, and it runs nothing from then on. Raises FileError."""
        with self._file.locked():
            fleet = self._file.read()
            known = fleet.devices.get(device)
            if known is None and device not in fleet.invitations:
                hint = f"the devices are: {', '.join(fleet.devices) or 'none'}"
                raise FileError(f"there is no device '{device}' in {fleet.group}", hint=hint)
            left = {name: each for name, each in fleet.invitations.items() if name != device}
            fleet = replace(fleet, invitations=left)
            if known is not None:
                gone = replace(known, revoked=datetime.now(UTC))
                fleet = replace(fleet, devices={**fleet.devices, device: gone})
            if fleet.state is not None:
                fleet = self._publish(fleet, fleet.state)
            self._file.write(fleet)
        return fleet

    def label(self, device: str, labels: dict[str, str]) -> None:
        """Give a device of this group other labels."""
        with self._file.locked():
            fleet = self._file.read()
            changed = replace(fleet.devices[device], labels=labels)
            self._file.write(replace(fleet, devices={**fleet.devices, device: changed}))

    def take_over(self, device: Device) -> None:
        """Take a device of another group into this one. Raises FileError when the name is another device's here."""
        with self._file.locked():
            fleet = self._file.read()
            known = fleet.devices.get(device.name)
            if known is not None and known.key_id != device.key_id and known.revoked is None:
                text = f"{fleet.group} has another device of the name {device.name}"
                raise FileError(text, hint=f"revoke that one first: plimsoll edge revoke {fleet.group} {device.name}")
            seen = max(device.seen, known.seen if known is not None and known.key_id == device.key_id else 0)
            here = replace(device, report=None, heard=None, moved="", moved_at=None, seen=seen)
            invitations = {name: each for name, each in fleet.invitations.items() if name != device.name}
            fleet = replace(fleet, devices={**fleet.devices, device.name: here}, invitations=invitations)
            if fleet.state is not None and device.key_id in fleet.state.moved:
                fleet = self._publish(fleet, fleet.state)
            self._file.write(fleet)

    def send_away(self, device: Device, place: str) -> None:
        """Have this group's state lead a device to the place of another group, if it may look here."""
        with self._file.locked():
            fleet = self._file.read()
            known = fleet.devices.get(device.name)
            if known is None or known.key_id != device.key_id or known.moved == place:
                return
            away = replace(known, labels=device.labels, moved=place, moved_at=datetime.now(UTC))
            fleet = replace(fleet, devices={**fleet.devices, device.name: away})
            fleet = self._publish(fleet, fleet.state or self._placed() or _nothing(fleet.group))
            self._file.write(fleet)

    def release(self, services: Sequence[WantedService], models: ModelRegistry) -> Fleet:
        """Publish services as a new release to the first ring; nothing happens when they are out already.

        `models` has their models, and those of the release before for deltas. Raises RegistryError.
        """
        with self._file.locked():
            fleet = self._heard(self._file.read())
            state = fleet.state or self._placed()
            if state is not None and without_deltas(state.services) == tuple(services) and not _stopped(fleet, state):
                return self._publish(fleet, state)
            now = datetime.now(UTC)
            rings = self._edge.rings
            # What nobody serves yet, cannot come back either: a stopped release has left the former one in place.
            former = (state.release, state.services) if state and state.reach == 1 else None
            if former is None and state is not None:
                former = (state.former_release, state.former)
            release = (state.release if state else 0) + 1
            services = with_deltas(services, former[1] if former else (), models)
            new = DesiredState(
                group=fleet.group,
                counter=state.counter if state else 0,
                issued=now,
                expires=now,
                sync=duration_in_seconds(self._edge.sync),
                release=release,
                services=services,
                reach=rings[0],
                former_release=former[0] if former else 0,
                former=former[1] if former else (),
            )
            rollout = Rollout(
                release=release,
                rings=rings,
                ring=0,
                began=now,
                ring_began=now,
                hold=duration_in_seconds(self._edge.hold),
                limit=duration_in_seconds(self._edge.limit),
                errors=share(self._edge.errors),
            )
            fleet = self._publish(replace(fleet, rollout=rollout), new)
            self._file.write(fleet)
        return fleet

    def advance(self) -> tuple[Fleet, Ring | None]:
        """Hear the devices, and move the rollout on by what they say. Raises RegistryError."""
        with self._file.locked():
            fleet = self._file.read()
            # Of thousands of devices, a small ring costs a small part of the requests.
            waits = fleet.rollout is not None and fleet.rollout.phase == "waiting" and fleet.state is not None
            fleet = self._heard(fleet, fleet.state.reach if waits and fleet.state else 1.0)
            rollout, state = fleet.rollout, fleet.state
            if rollout is None or state is None:
                self._file.write(fleet)
                return fleet, None
            now = datetime.now(UTC)
            ring = ring_of(rollout, fleet.devices.values(), state.sync, now)
            moved = step(rollout, ring, now)
            fleet = replace(fleet, rollout=moved)
            if moved.phase == "stopped" and rollout.phase == "waiting":
                fleet = self._publish(fleet, replace(state, reach=0.0))
            elif moved.ring != rollout.ring:
                fleet = self._publish(fleet, replace(state, reach=moved.rings[moved.ring]))
            self._file.write(fleet)
        return fleet, ring

    def collect(self, output: Path) -> Iterator[Collected]:
        """Write the logs that devices have sent into a directory, each file once. Raises RegistryError."""
        for device in self.listen().devices.values():
            if device.report is not None and device.report.logged and not device.moved:
                home = parse_reference(device.home) if device.home else self._reference
                yield collect_logs(home, group_at(str(home)), device, output)

    def _publish(self, fleet: Fleet, state: DesiredState) -> Fleet:
        """Sign a state with the next number, and put it where devices look."""
        now = datetime.now(UTC)
        placed = self._placed()
        counter = max(state.counter, placed.counter if placed else 0) + 1
        gone = (each.key_id for each in fleet.devices.values() if each.revoked is not None)
        revoked = tuple(sorted({*state.revoked, *gone}))
        expires = now + timedelta(seconds=duration_in_seconds(self._edge.expires))
        sync = duration_in_seconds(self._edge.sync)
        new = replace(
            state,
            counter=counter,
            issued=now,
            expires=expires,
            revoked=revoked,
            sync=sync,
            moved=moves(self._root, fleet),
            upload=upload_rule(self._edge.upload),
            keep=duration_in_seconds(self._edge.keep),
            keep_bytes=memory_in_bytes(self._edge.keep_size),
        )
        # Where the power goes now, the file knows of a state that nobody has; its number is not given again.
        published = replace(fleet, state=new)
        self._file.write(published)
        # A state by a new key comes after what makes devices trust that key.
        if (statements := statements_of(self._keys)) is not None and self._place.read(KEYS_TAG) != statements:
            self._place.write(KEYS_TAG, statements)
        self._place.write(STATE_TAG, seal(f"{fleet.group}/state", STATE, new, self._keys))
        return published

    def _placed(self) -> DesiredState | None:
        """The state that devices see now. Raises ModelRefused when it is somebody else's."""
        envelope = self._place.read(STATE_TAG)
        if envelope is None:
            return None
        try:
            return unseal(envelope, f"{self._file.group}/state", STATE, DesiredState, self._keys)[0]
        except ModelRefused as error:
            hint = "trust its signer (keys/trusted), or name another path in `registry`"
            raise ModelRefused(error.message, where=str(self._reference), hint=error.hint or hint) from error

    def _heard(self, fleet: Fleet, share: float = 1.0) -> Fleet:
        """Take in devices that ask for it, and read what devices tell: those in the rollout's reach alone below 1."""
        now, tags = datetime.now(UTC), set(self._place.tags())
        for name in [each for each in fleet.invitations if request_tag(each) in tags]:
            if (envelope := self._read(name, request_tag(name))) is not None:
                fleet, refused = take_in(fleet, name, envelope, now)
                self._tell(refused)
        release = fleet.rollout.release if fleet.rollout else 0
        telling = [
            each
            for each in fleet.devices.values()
            if report_tag(each.name) in tags and (share >= 1 or place_in_line(each.name, release) < share)
        ]
        devices = dict(fleet.devices)
        with ThreadPoolExecutor(READERS) as pool:
            envelopes = pool.map(lambda each: self._read(each.name, report_tag(each.name)), telling)
            for device, envelope in zip(telling, envelopes, strict=True):
                if envelope is not None:
                    devices[device.name], refused = hear(fleet.group, device, envelope, now)
                    self._tell(refused)
        return replace(fleet, devices=devices)

    def _read(self, name: str, tag: str) -> bytes | None:
        try:
            return self._place.read(tag)
        except ModelRefused as error:
            self._tell(f"{name}: {error.message}")
            return None

    def _tell(self, refused: str) -> None:
        if refused:
            self._say(refused)


def _nothing(group: str) -> DesiredState:
    """The state of a group before its first release, which leads devices to other groups all the same."""
    now = datetime.now(UTC)
    return DesiredState(group=group, counter=0, issued=now, expires=now, sync=0.0, release=0, services=())


def _stopped(fleet: Fleet, state: DesiredState) -> bool:
    rollout = fleet.rollout
    return rollout is not None and rollout.release == state.release and rollout.phase == "stopped"


def place_of(edge: Edge, group: str) -> Reference:
    """The repository of a group's documents: `edge/GROUP` below the registry of the file."""
    return parse_reference(edge.registry).below("edge", group)


def chosen(fleet: Fleet, labels: Mapping[str, str]) -> Fleet:
    """The group with those alone of its devices and invitations that have all of the labels."""
    return replace(
        fleet,
        devices={name: each for name, each in fleet.devices.items() if has_labels(each.labels, labels)},
        invitations={name: each for name, each in fleet.invitations.items() if has_labels(each.labels, labels)},
    )


def encoded(fleet: Fleet) -> dict[str, Any]:
    """The group for `--json`, without secrets and keys (`Any`: it is JSON)."""
    found: dict[str, Any] = msgspec.to_builtins(fleet)
    found["invitations"] = sorted(fleet.invitations)
    for device in found["devices"].values():
        del device["key"]
    return found
