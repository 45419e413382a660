"""Removes credentials from everything that is recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REMOVED = "[removed]"
_PATTERNS = (
    # JSON Web Tokens, of service accounts and of people.
    re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}"),
    re.compile(
        r"(?i)\b([\w-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)[\w-]*)"
        r"(['\"]?\s*[=:]\s*['\"]?)[^\s'\",;]{4,}"
    ),
    re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
)


def without_secrets(value: Any) -> Any:
    """The same value, with everything at any depth replaced that looks like a credential."""
    if isinstance(value, str):
        for pattern in _PATTERNS:
            value = pattern.sub(_replacement, value)
        return value
    if isinstance(value, Mapping):
        return {without_secrets(key): without_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value


def _replacement(found: re.Match[str]) -> str:
    # The name of a credential stays where the pattern has one.
    groups = [group for group in found.groups() if group]
    if len(groups) == 2:  # name and separator
        return f"{groups[0]}{groups[1]}{REMOVED}"
    return REMOVED
