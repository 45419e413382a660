"""Questions about Kubernetes objects that several rooms ask. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]
"""A Kubernetes object, or a part of one, that is read and not changed (`Any`: JSON values)."""


def has_condition(found: Object, kind: str) -> bool:
    """Whether the object's status has a condition of that type with status True."""
    conditions = found.get("status", {}).get("conditions", [])
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def is_accepted(gateway_class: Object) -> bool:
    """Whether a controller accepts the GatewayClass."""
    return has_condition(gateway_class, "Accepted")
