"""Events of a cluster's audit log in the formats of other systems, beside the calls in `formats`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from plimsoll import __version__
from plimsoll.audit.formats import API_ACTIVITY, APPLICATION, cef_line, given
from plimsoll.audit.kubernetes import ClusterEvent

_VERBS = MappingProxyType(
    {
        "get": (2, "Read"),
        "list": (2, "Read"),
        "watch": (2, "Read"),
        "create": (1, "Create"),
        "update": (3, "Update"),
        "patch": (3, "Update"),
        "delete": (4, "Delete"),
        "deletecollection": (4, "Delete"),
    }
)
_REFUSED = frozenset({401, 403, 429})


def ocsf(event: ClusterEvent) -> bytes:
    """An event of OCSF (API Activity): one line of JSON. What it was joined with is in `unmapped`."""
    activity, name = _VERBS.get(event.verb, (99, "Other"))
    joined = given(application=event.application, service=event.service, run=event.run, calls=event.calls)
    found: dict[str, object] = {
        "activity_id": activity,
        "activity_name": name,
        "category_uid": APPLICATION,
        "category_name": "Application Activity",
        "class_uid": API_ACTIVITY,
        "class_name": "API Activity",
        "type_uid": API_ACTIVITY * 100 + activity,
        "severity_id": _severity(event),
        "time": round(event.at.timestamp() * 1000),
        "status_id": 1 if event.code < 400 else 2,
        "status_code": str(event.code),
        "metadata": {
            "version": "1.3.0",
            "product": {"name": "Kubernetes", "vendor_name": "Kubernetes", "version": "audit.k8s.io/v1"},
            "log_name": "audit",
            "uid": event.audit_id,
        },
        "actor": {"user": given(name=event.user) or {"type_id": 0}},
        "api": {
            "operation": event.verb,
            "service": {"name": "kube-apiserver"},
            "response": given(code=event.code, message=event.reason),
        },
        "src_endpoint": given(ip=event.client) or {"name": "unknown"},
        "resources": [{"name": event.object, "type": "kubernetes"}],
        **({"unmapped": {"plimsoll": joined}} if joined else {}),
    }
    return msgspec.json.encode(found)


def cef(event: ClusterEvent) -> bytes:
    """A line of CEF."""
    extension = given(
        rt=round(event.at.timestamp() * 1000),
        src=event.client,
        suser=event.user,
        request=event.object,
        act=event.verb,
        outcome="success" if event.code < 400 else "failure",
        reason=event.reason,
        externalId=event.audit_id,
        cs1Label="service",
        cs1=event.service or event.application,
        cs2Label="run",
        cs2=event.run,
        cs3Label="calls",
        cs3=", ".join(event.calls),
    )
    header = ("Kubernetes", "kube-apiserver", __version__, str(event.code), event.verb or "request")
    return cef_line(header, {1: 1, 2: 4, 3: 6}[_severity(event)], extension)


FORMATS: Mapping[str, Callable[[ClusterEvent], bytes]] = MappingProxyType({"ocsf": ocsf, "cef": cef})


def _severity(event: ClusterEvent) -> int:
    """What was refused for who asked matters most, then what failed."""
    if event.code in _REFUSED:
        return 3
    return 2 if event.code >= 400 else 1
