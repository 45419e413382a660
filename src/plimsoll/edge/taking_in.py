"""Devices that ask to be taken in, and reports, held against what the owner knows. Pure but for the signatures."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec.structs import replace

from plimsoll.decoding import UNREADABLE
from plimsoll.edge.documents import REPORT, REQUEST, Device, DeviceReport, EnrolmentRequest, Fleet
from plimsoll.edge.envelopes import unseal
from plimsoll.edge.tokens import proves
from plimsoll.errors import ModelRefused
from plimsoll.signing import dsse
from plimsoll.signing.keys import OneKey


def take_in(fleet: Fleet, name: str, envelope: bytes, now: datetime) -> tuple[Fleet, str]:
    """The fleet with a device that asks to be taken in, or why it is not taken.

    A token is used once: its invitation goes with the first key whose holder knows the secret.
    """
    invitation = fleet.invitations.get(name)
    if invitation is None:
        return fleet, ""
    if invitation.expires <= now:
        return fleet, f"{name}: its token has expired at {invitation.expires:%Y-%m-%d %H:%M} UTC; enroll it again"
    try:
        asked = _request(fleet.group, name, envelope)
    except ModelRefused as error:
        return fleet, f"{name}: {error.message}"
    if asked.device != name or not proves(asked.proof, invitation.secret, asked.key_id):
        return fleet, f"{name}: somebody without its token asks to be taken in"
    device = Device(name=name, labels=invitation.labels, key_id=asked.key_id, key=asked.key, enrolled=now)
    left = {each: one for each, one in fleet.invitations.items() if each != name}
    return replace(fleet, devices={**fleet.devices, name: device}, invitations=left), ""


def _request(group: str, name: str, envelope: bytes) -> EnrolmentRequest:
    """A request, signed by the key inside it: that the asker holds that key is all that the signature shows."""
    try:
        payload = dsse.open_envelope(envelope).payload
        inner = msgspec.json.decode(payload)["predicate"]
        key = dict(inner["key"])
    except (*UNREADABLE, dsse.NotAnEnvelope, KeyError, TypeError, ValueError) as error:
        raise ModelRefused("its request cannot be read") from error
    request, key_id = unseal(envelope, f"{group}/{name}/request", REQUEST, EnrolmentRequest, OneKey(key))
    if request.key_id != key_id or request.key.get("keyid") != key_id:
        raise ModelRefused("its request names another key than the one that signed it")
    return request


def hear(group: str, device: Device, envelope: bytes, now: datetime) -> tuple[Device, str]:
    """A device with its newer report, or why that does not count."""
    name = device.name
    if device.revoked is not None:
        return device, ""
    try:
        report, _ = unseal(envelope, f"{group}/{name}/report", REPORT, DeviceReport, OneKey(device.key))
    except ModelRefused as error:
        return device, f"{name}: {error.message}"
    known = device.report.number if device.report else device.seen
    if report.device != name or report.number < known:
        return device, f"{name}: its report is an old one: number {report.number}, and {known} was seen"
    if report.number == known:
        return device, ""
    return replace(device, report=report, heard=now), ""
