"""A group of devices as lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from plimsoll.cli.rows import amount
from plimsoll.edge.documents import Device, Fleet


def device_lines(fleet: Fleet) -> Iterator[str]:
    """A line for each device and each token that nobody has used yet."""
    names = [*fleet.devices, *fleet.invitations]
    if not names:
        yield f"{fleet.group} has no devices; plimsoll edge enroll {fleet.group} NAME"
        return
    width = max(len(name) for name in names)
    for name, device in sorted(fleet.devices.items()):
        yield f"{name:{width}}  {_state(device)}"
    for name, invitation in sorted(fleet.invitations.items()):
        yield f"{name:{width}}  has a token, valid until {invitation.expires:%Y-%m-%d %H:%M} UTC"


def report_lines(fleet: Fleet, device: Device) -> Iterator[str]:
    """What a device has told last, and its labels."""
    labels = ", ".join(f"{name}={value}" for name, value in device.labels.items())
    yield f"{device.name} of {fleet.group}" + (f" ({labels})" if labels else "")
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
    if report.waiting or report.dropped:
        yield f"  logs       {amount(report.waiting)} wait, {report.dropped} lines had no room"
    yield f"  disk       {amount(report.disk)} free"
    if report.temperature is not None:
        yield f"  sensor     {report.temperature:.0f} °C"


def _state(device: Device) -> str:
    if device.revoked is not None:
        return f"revoked {device.revoked:%Y-%m-%d}"
    report = device.report
    if report is None or device.heard is None:
        return "enrolled, not heard yet"
    services = ", ".join(f"{each.name} {each.model}{'' if each.up else ' (down)'}" for each in report.services)
    told = f"release {report.release or 'none'}  {services or 'nothing'}  heard {_ago(device.heard)}"
    return f"{told}  took back {report.failed}: {report.problem}" if report.failed else told


def _ago(at: datetime) -> str:
    seconds = max(0.0, (datetime.now(UTC) - at).total_seconds())
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.0f} h ago"
