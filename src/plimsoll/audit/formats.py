"""Calls in the formats of other systems. Pure.

Sources: OCSF 1.3, class API Activity (6003); ArcSight Common Event Format, version 0 (25).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from plimsoll import __version__
from plimsoll.audit.query import Call

API_ACTIVITY, APPLICATION = 6003, 6
_CREATE, _READ, _UPDATE, _DELETE, _OTHER = 1, 2, 3, 4, 99
_ACTIVITIES = {
    "inference": _READ,
    "load": _UPDATE,
    "unload": _UPDATE,
    "put": _CREATE,
    "delete": _DELETE,
    "GET": _READ,
    "HEAD": _READ,
    "POST": _CREATE,
    "PUT": _UPDATE,
    "PATCH": _UPDATE,
    "DELETE": _DELETE,
}
_NAMES = {_CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete", _OTHER: "Other"}
_INFORMATIONAL, _LOW, _MEDIUM = 1, 2, 3
_CEF_SEVERITY = {_INFORMATIONAL: 1, _LOW: 4, _MEDIUM: 6}


def ocsf(call: Call, service: str) -> bytes:
    """A call as an event of OCSF: one line of JSON."""
    values, activity = call.values, _activity(call)
    model = {
        "name": values.get("model"),
        "type": "model",
        "version": values.get("version"),
        "uid": values.get("digest"),
    }
    event: dict[str, object] = {
        "activity_id": activity,
        "activity_name": _NAMES[activity],
        "category_uid": APPLICATION,
        "category_name": "Application Activity",
        "class_uid": API_ACTIVITY,
        "class_name": "API Activity",
        "type_uid": API_ACTIVITY * 100 + activity,
        "severity_id": _severity(call),
        "time": round(call.at.timestamp() * 1000) if call.at is not None else 0,
        "status_id": 1 if call.status < 400 else 2,
        "status_code": str(call.status),
        "metadata": {
            "version": "1.3.0",
            "product": {"name": "Plimsoll", "vendor_name": "Plimsoll", "version": __version__},
            "log_name": "audit",
            **given(uid=values.get("hash"), correlation_uid=values.get("request_id")),
        },
        "actor": {"user": given(name=call.who.get("user")) or {"type_id": 0}},
        "api": {
            "operation": _operation(call),
            "service": {"name": service},
            "response": given(code=call.status, message=values.get("reason")),
        },
        "src_endpoint": given(ip=call.who.get("client")) or {"name": "unknown"},
    }
    if values.get("model"):
        event["resources"] = [given(**model)]
    if values.get("reason"):
        event["status_detail"] = values["reason"]
    return msgspec.json.encode(event)


def cef(call: Call, service: str) -> bytes:
    """A call as a line of CEF."""
    values = call.values
    extension = given(
        rt=round(call.at.timestamp() * 1000) if call.at is not None else None,
        src=call.who.get("client"),
        suser=call.who.get("user"),
        request=values.get("call"),
        act=values.get("verdict"),
        outcome="success" if call.status < 400 else "failure",
        reason=values.get("reason"),
        externalId=values.get("hash"),
        cs1Label="service",
        cs1=service,
        cs2Label="model",
        cs2=values.get("model"),
        cs3Label="version",
        cs3=values.get("version"),
        cs4Label="digest",
        cs4=values.get("digest"),
    )
    header = ("Plimsoll", "Plimsoll", __version__, str(call.status), _operation(call))
    return cef_line(header, _CEF_SEVERITY[_severity(call)], extension)


def cef_line(header: Sequence[str], severity: int, extension: Mapping[str, object]) -> bytes:
    """A line of CEF. `header` are vendor, product, version, class and name; the severity is one of 0 to 10."""
    told = " ".join(f"{name}={_extended(str(value))}" for name, value in extension.items())
    return f"CEF:0|{'|'.join(map(_headed, header))}|{severity}|{told}".encode()


FORMATS: Mapping[str, Callable[[Call, str], bytes]] = MappingProxyType({"ocsf": ocsf, "cef": cef})


def _activity(call: Call) -> int:
    event = str(call.values.get("event"))
    method = str(call.values.get("call", "")).partition(" ")[0]
    return _ACTIVITIES.get(event, _ACTIVITIES.get(method, _OTHER))


def _operation(call: Call) -> str:
    return str(call.values.get("call") or call.values.get("event") or "call")


def _severity(call: Call) -> int:
    """What was refused for who asked matters most, then what failed."""
    if call.status in {401, 403, 429}:
        return _MEDIUM
    return _LOW if call.status >= 400 else _INFORMATIONAL


def given(**values: object) -> dict[str, object]:
    """The values that are there."""
    return {name: value for name, value in values.items() if value not in (None, "", ())}


def _headed(text: str) -> str:
    return re.sub(r"[\r\n]+", " ", text.replace("\\", "\\\\").replace("|", "\\|"))


def _extended(text: str) -> str:
    return text.replace("\\", "\\\\").replace("=", "\\=").replace("\r", "\\r").replace("\n", "\\n")
