"""What the page of devices shows: groups with their rollouts, and what each device has told last."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from plimsoll.edge.documents import Device, Fleet
from plimsoll.edge.drift_view import GroupDrift, read_drift
from plimsoll.edge.fleet_file import FleetFile, groups_in
from plimsoll.edge.rollout import STALE, ring_of, rollout_line
from plimsoll.ui.run_pages import matches


class DevicePages:
    """The devices of one application, as its owner has heard them last. Every method may be called from any thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._stamp: object = None
        self._known: Sequence[tuple[Fleet, GroupDrift]] = ()

    @property
    def stamp(self) -> object:
        """Changes with every file of a group."""
        return [(path.name, path.stat().st_mtime_ns) for path in groups_in(self._root)]

    def page(self, *, text: str, offset: int, limit: int) -> dict[str, object]:
        """The groups, and a page of the devices whose words have the text. Raises PlimsollError."""
        known, now = self._read(), datetime.now(UTC)
        rows = [
            _row(fleet, drift, device, now)
            for fleet, drift in known
            for device in fleet.devices.values()
            if not device.moved
        ]
        found = [row for row in rows if matches(" ".join(str(each) for each in row.values()), text)]
        # What needs somebody comes first.
        found.sort(key=lambda row: (_ORDER.index(str(row["state"])), str(row["group"]), str(row["name"])))
        return {
            "groups": [_group(fleet, drift, now) for fleet, drift in known],
            "total": len(found),
            "devices": found[offset : offset + limit],
        }

    def _read(self) -> Sequence[tuple[Fleet, GroupDrift]]:
        with self._lock:
            stamp = self.stamp
            if stamp != self._stamp:
                names = sorted({path.name.partition(".")[0] for path in groups_in(self._root)})
                self._known = [(FleetFile(self._root, name).read(), read_drift(self._root, name)) for name in names]
                self._stamp = stamp
            return self._known


_ORDER = ("problem", "away", "waiting", "serving", "revoked")


def _group(fleet: Fleet, drift: GroupDrift, now: datetime) -> dict[str, object]:
    state, rollout = fleet.state, fleet.rollout
    here = [each for each in fleet.devices.values() if not each.moved and each.revoked is None]
    told, phase = "nothing was rolled out yet", ""
    if state is not None and rollout is not None:
        told = rollout_line(rollout, ring_of(rollout, here, state.sync, now))
        phase = rollout.phase
    return {
        "name": fleet.group,
        "devices": len(here),
        "invited": len(fleet.invitations),
        "rollout": told,
        "phase": phase,
        "services": [f"{each.name} {each.model}" for each in state.services] if state else [],
        "drift": [line for each in drift.together for line in each.lines()],
        "alarms": sum(len(each.alarms) for each in drift.together),
    }


def _row(fleet: Fleet, drift: GroupDrift, device: Device, now: datetime) -> dict[str, object]:
    report = device.report
    services = report.services if report else ()
    return {
        "name": device.name,
        "group": fleet.group,
        "labels": [f"{name}={value}" for name, value in device.labels.items()],
        "state": _state(fleet, device, now),
        "heard": device.heard.timestamp() if device.heard else None,
        "release": report.release if report else None,
        "versions": [f"{each.model}{'' if each.up else ' (down)'}" for each in services],
        "requests": sum(each.requests + each.readings for each in services),
        "waiting": report.waiting if report else None,
        "dropped": report.dropped if report else 0,
        "disk": report.disk if report else None,
        "temperature": report.temperature if report else None,
        "problem": _problem(device),
        "drift": [alarm for each in drift.devices.get(device.name, ()) for alarm in each.alarms],
    }


def _state(fleet: Fleet, device: Device, now: datetime) -> str:
    if device.revoked is not None:
        return "revoked"
    if _problem(device):
        return "problem"
    if device.heard is None:
        return "waiting"
    sync = fleet.state.sync if fleet.state else 60.0
    return "away" if now - device.heard > timedelta(seconds=STALE * sync) else "serving"


def _problem(device: Device) -> str:
    report = device.report
    if report is None or device.revoked is not None:
        return ""
    down = [each.name for each in report.services if not each.up]
    taken_back = f"took release {report.failed} back: {report.problem}" if report.failed else report.problem
    return taken_back or (f"{', '.join(down)} is down" if down else "")
