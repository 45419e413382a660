"""What is asked of Kubernetes' objects again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def has_condition(found: Mapping[str, Any], kind: str) -> bool:
    """Whether an object's status has a condition of that type, and it is true."""
    conditions = found.get("status", {}).get("conditions", [])
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)
