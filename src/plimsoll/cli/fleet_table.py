"""A group of devices as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from plimsoll.cli.rows import amount
from plimsoll.edge.documents import Device, Fleet
from plimsoll.edge.drift_view import GroupDrift
from plimsoll.edge.place import group_at
from plimsoll.kinds.edge import labels_text


def device_lines(fleet: Fleet, labels: Mapping[str, str]) -> Iterator[str]:
    """A line for each device and each token that nobody has used yet. `labels` are those that were asked for."""
    names = [*fleet.devices, *fleet.invitations]
    if not names and labels:
        yield f"{fleet.group} has no device with {labels_text(labels)}"
        return
    if not names:
        yield f"{fleet.group} has no devices; plimsoll edge enroll {fleet.group} NAME"
        return
    width = max(len(name) for name in names)
    for name, device in sorted(fleet.devices.items()):
        yield f"{name:{width}}  {_state(device)}" + (f"  {labels_text(device.labels)}" if device.labels else "")
    for name, invitation in sorted(fleet.invitations.items()):
        yield f"{name:{width}}  has a token, valid until {invitation.expires:%Y-%m-%d %H:%M} UTC"


def report_lines(fleet: Fleet, device: Device, drift: GroupDrift) -> Iterator[str]:
    """What a device has told last, its labels, and the drift of what it has sent."""
    labels = labels_text(device.labels)
    yield f"{device.name} of {fleet.group}" + (f" ({labels})" if labels else "")
    if device.moved:
        yield f"  moved      to {group_at(device.moved)}; see plimsoll edge show {group_at(device.moved)} {device.name}"
    yield f"  enrolled   {device.enrolled:%Y-%m-%d %H:%M:%S} UTC, key {device.key_id[:16]}"
    if device.revoked is not None:
        yield f"  revoked    {device.revoked:%Y-%m-%d %H:%M:%S} UTC"
    report = device.report
    if report is None or device.heard is None:
        yield "  heard      never"
        return
    clock = (report.at - device.heard).total_seconds()
    yield f"  heard      {_ago(device.heard)}; its clock differs by {clock:+.0f} s at most"
    yield f"  state      {report.counter}, release {report.release or 'none'}"
    if report.fetched:
        yield f"  fetched    {amount(report.fetched)} for release {report.release}"
    if report.failed:
        yield f"  took back  release {report.failed}: {report.problem}"
    elif report.problem:
        yield f"  problem    {report.problem}"
    for each in report.services:
        told = f"{each.requests} requests, {each.errors} errors" if each.up else "down"
        yield f"  service    {each.name} with {each.model} at {each.url or 'no address'}: {told}"
        if each.readings or each.refused or each.dropped:
            yield f"  readings   {each.readings} answered, {each.refused} refused, {each.dropped} dropped"
    if report.waiting or report.dropped or report.left or report.uploaded:
        words = [f"{amount(report.waiting)} wait", f"{amount(report.uploaded)} sent today"]
        words += [f"{report.left} lines left out by `upload`"] if report.left else []
        words += [f"{report.dropped} lines had no room"] if report.dropped else []
        yield f"  logs       {', '.join(words)}"
    yield f"  disk       {amount(report.disk)} free"
    if report.temperature is not None:
        yield f"  sensor     {report.temperature:.0f} °C"
    for state in drift.devices.get(device.name, ()):
        for line in state.lines():
            yield f"  drift      {state.model}@{state.version}: {line} (judged {_ago(drift.judged)})"


def _state(device: Device) -> str:
    if device.revoked is not None:
        return f"revoked {device.revoked:%Y-%m-%d}"
    if device.moved:
        return f"moved to {group_at(device.moved)}"
    report = device.report
    if report is None or device.heard is None:
        return "enrolled, not heard yet"
    services = ", ".join(f"{each.name} {each.model}{'' if each.up else ' (down)'}" for each in report.services)
    told = f"release {report.release or 'none'}  {services or 'nothing'}  heard {_ago(device.heard)}"
    if report.failed:
        return f"{told}  took back {report.failed}: {report.problem}"
    return f"{told}  problem: {report.problem}" if report.problem else told


def _ago(at: datetime | None) -> str:
    if at is None:
        return "never"
    seconds = max(0.0, (datetime.now(UTC) - at).total_seconds())
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.0f} h ago"
