"""Manifests as plain values: copies, and the time as an API server writes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def copied(value: Any) -> Any:
    """A deep copy of what JSON can hold."""
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [copied(each) for each in value]
    return value


def now() -> str:
    """The time, to the second, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_exactly() -> str:
    """The time, to the nanosecond's place, as a log line begins with it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def moment(text: str) -> datetime:
    """A time as objects carry it. Raises ValueError for what is none."""
    return datetime.fromisoformat(text)
