"""What is recorded of a pod that holds an accelerator."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.capabilities.records import CheckRecord, PodFields, PodState


class HeldDevice(Struct, frozen=True, kw_only=True):
    """A device file in a holder.

    `kind` is its type in the words of `stat`, `digest` the SHA-256 of its first 4096 bytes, and `content` how many of
    those bytes are not zero.
    """

    path: str
    kind: str
    major: int
    minor: int
    digest: str
    content: int

    @property
    def numbers(self) -> tuple[int, int]:
        """The device numbers, by which the kernel knows the device."""
        return self.major, self.minor


class AllocatedDevice(Struct, frozen=True, kw_only=True):
    """A device that a claim was allocated."""

    driver: str = ""
    pool: str = ""
    device: str = ""


class HolderFields(PodFields):
    """The fields of `HolderRecord`, for records that have more of their own."""

    devices: tuple[HeldDevice, ...]
    printed: tuple[str, ...]
    allocated: tuple[AllocatedDevice, ...]


class HolderRecord(PodState, CheckRecord, frozen=True, kw_only=True):
    """Base of the records of a holder: its pod, the devices in it, what its script printed, and its claim's devices."""

    devices: tuple[HeldDevice, ...]
    printed: tuple[str, ...]
    allocated: tuple[AllocatedDevice, ...]
