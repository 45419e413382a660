"""What the probe of sandboxes records."""

from __future__ import annotations

from plimsoll.capabilities.records import CheckRecord, CommonRecord, PodState


class SandboxTried(CheckRecord, frozen=True, kw_only=True, tag="sandbox", omit_defaults=True):
    """The RuntimeClass under test. `boundaries` says that its pods report more of the node than its kernel."""

    name: str
    handler: str
    boundaries: bool = False


class KernelSeen(PodState, CheckRecord, frozen=True, kw_only=True, tag="kernel"):
    """What a pod in one role (sandbox, twin-1, twin-2) reports of its kernel; nothing when it did not run."""

    sandbox: str
    role: str
    said: dict[str, str]


SandboxRecord = SandboxTried | KernelSeen | CommonRecord
