"""What the probe of access to accelerators records."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.capabilities.records import CheckRecord, CommonRecord


class DeviceFile(Struct, frozen=True, kw_only=True):
    """A device file in a pod, with its device numbers."""

    path: str
    block: bool
    character: bool
    major: int
    minor: int

    @property
    def label(self) -> str:
        """The device numbers, by which attempts are named."""
        return f"{self.major}:{self.minor}"


class WayTried(CheckRecord, frozen=True, kw_only=True, tag="way"):
    """A way of getting accelerators under test: device-plugin or dra; `name` is the resource or driver."""

    way: str
    node: str
    name: str
    hardware: str


class Held(CheckRecord, frozen=True, kw_only=True, tag="held"):
    """The device files of a holder."""

    way: str
    pod: str
    node: str
    devices: tuple[DeviceFile, ...]


class AccessTried(CheckRecord, frozen=True, kw_only=True, tag="tried", omit_defaults=True):
    """What a container sees, and the result of each attempt to open a device by its numbers."""

    pod: str
    container: str
    node: str = ""
    sees: tuple[DeviceFile, ...]
    tries: dict[str, str]


AccessRecord = WayTried | Held | AccessTried | CommonRecord
