"""Devices that go from one group to another by their labels, and how each group's state leads them there.

Nobody knows which state a device reads next: it may have been away for days. So the states of all groups in which it
was lead to the one in which it is now, until it has told there that it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from plimsoll.edge.documents import Device, Fleet
from plimsoll.edge.fleet_file import FleetFile
from plimsoll.edge.labels import changed_labels, group_of
from plimsoll.edge.place import group_at
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.edge.owner import Owner


def left(device: Device) -> str:
    """The group to which a device has moved."""
    return group_at(device.moved)


def moves(root: Path, fleet: Fleet) -> dict[str, str]:
    """Where the state of a group leads devices that belong to others now, by the ids of their keys."""
    gone = [each for each in fleet.devices.values() if each.moved and each.revoked is None]
    others = {group: FleetFile(root, group).read() for group in {left(each) for each in gone}}
    return {each.key_id: each.moved for each in gone if not _arrived(each, others[left(each)])}


def _arrived(device: Device, other: Fleet) -> bool:
    there = other.devices.get(device.name)
    if there is None or there.key_id != device.key_id or there.heard is None or device.moved_at is None:
        return False
    return there.heard > device.moved_at


class Groups:
    """The groups of a file, for what concerns several. `owner` gives the owner's side of one."""

    def __init__(
        self, names: Sequence[str], selectors: Mapping[str, Mapping[str, str]], owner: Callable[[str], Owner]
    ) -> None:
        self._names = names
        self._selectors = selectors
        self._owner = owner

    def label(self, group: str, name: str, words: Sequence[str]) -> tuple[dict[str, str], str]:
        """Change labels of a device; gives its labels, and the group in which it is by them. Raises FileError."""
        device = self._device(group, name)
        labels = changed_labels(device.labels, words)
        target = group_of(group, labels, self._selectors)
        device = replace(device, labels=labels)
        if target == group:
            self._owner(group).label(name, labels)
        else:
            self._move(group, device, target)
        return labels, target

    def assign(self) -> Iterator[str]:
        """Move devices whose labels belong to another group since the file was changed; a line for each."""
        for group in self._selectors:
            for name, device in self._owner(group).fleet().devices.items():
                if device.moved or device.revoked is not None:
                    continue
                try:
                    target = group_of(group, device.labels, self._selectors)
                    if target != group:
                        self._move(group, device, target)
                        yield f"{name} goes from {group} to {target}"
                except FileError as error:
                    yield f"{name} stays in {group}: {error.message}"

    def revoke(self, group: str, name: str) -> None:
        """Take a device out of every group whose state it may read. Raises FileError."""
        known = self._owner(group).fleet().devices.get(name)
        if known is not None and known.moved:
            raise _moved(known)
        self._owner(group).revoke(name)
        for other in self._names:
            found = self._owner(other).fleet().devices.get(name) if known is not None and other != group else None
            if found is not None and known is not None and found.key_id == known.key_id and found.revoked is None:
                self._owner(other).revoke(name)

    def _device(self, group: str, name: str) -> Device:
        fleet = self._owner(group).fleet()
        device = fleet.devices.get(name)
        if device is None and name in fleet.invitations:
            text = f"the device {name} has a token, and has not joined {group} yet"
            raise FileError(text, hint=f"enroll it again with other labels: plimsoll edge enroll {group} {name}")
        if device is None:
            hint = f"the devices are: {', '.join(fleet.devices) or 'none'}"
            raise FileError(f"there is no device '{name}' in {group}", hint=hint)
        if device.revoked is not None:
            raise FileError(f"the device {name} is revoked", hint=f"enroll it again: plimsoll edge enroll {group} NAME")
        if device.moved:
            raise _moved(device)
        return device

    def _move(self, group: str, device: Device, target: str) -> None:
        # The new group comes first: where this is cut off, the same command goes on with it.
        owner = self._owner(target)
        home = device.home or self._owner(group).place
        number = device.report.number if device.report else 0
        owner.take_over(replace(device, home=home, seen=max(device.seen, number)))
        for other in self._names:
            if other != target:
                self._owner(other).send_away(device, owner.place)


def _moved(device: Device) -> FileError:
    text = f"the device {device.name} has moved to {left(device)}"
    return FileError(text, hint=f"name that group: {left(device)} {device.name}")
