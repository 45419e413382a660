"""Formats of single values in the file (names, memory, durations, bounds) and their conversion.

The loader checks each format by its pattern; error messages show its description and examples.
"""

from __future__ import annotations

import operator
import re
from typing import Annotated

from msgspec import Meta

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
LABEL_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$"
"""Names and values of labels, as Kubernetes has them: at most 63 characters."""

# So many digits that every amount is one that files, journals and clocks can hold.
_PART = r"(\.[0-9]{1,9})?"
_MEMORY = "|".join(
    rf"[0-9]{{1,{digits}}}{_PART}{suffix}"
    for digits, suffix in ((6, "Ti?"), (9, "Gi?"), (12, "Mi?"), (15, "(Ki|k)"), (18, ""))
)
_MEMORY = f"^({_MEMORY})$"
_DURATION = rf"^([0-9]{{1,9}}{_PART}m?s|[0-9]{{1,6}}{_PART}[mh])$"

Name = Annotated[
    str,
    Meta(
        pattern=NAME_PATTERN,
        description="a name of at most 63 lower-case letters, digits and '-', no '-' first or last",
        examples=["triage", "work-orders"],
    ),
]
Memory = Annotated[
    str,
    Meta(
        pattern=_MEMORY,
        description="a number of bytes, optionally with a Kubernetes suffix such as Mi or Gi",
        examples=["512Mi", "2Gi"],
    ),
]
Duration = Annotated[
    str,
    Meta(
        pattern=_DURATION,
        description="a duration: a number with the unit ms, s, m or h",
        examples=["50ms", "60s", "2h"],
    ),
]
Retention = Annotated[
    str,
    Meta(
        pattern=r"^[1-9][0-9]{0,4}[dh]$",
        description="how long something is kept: a whole number with the unit d or h",
        examples=["400d", "36h"],
    ),
]
Bound = Annotated[
    str,
    Meta(
        pattern=r"^(>=|<=|>|<|==)\s*-?[0-9]+(\.[0-9]+)?([eE]-?[0-9]{1,3})?$",
        description="a comparison (>=, <=, >, < or ==) and a number",
        examples=[">= 0.9", "< 12"],
    ),
]
Sha256 = Annotated[
    str,
    Meta(pattern=r"^[0-9a-f]{64}$", description="a SHA-256 digest of 64 lower-case hexadecimal digits"),
]
ModelReference = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(@[1-9][0-9]{0,8})?$",
        description="`name` or `name@version` of a model",
        examples=["triage", "triage@2"],
    ),
]

_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_COMPARISONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq}


def memory_in_bytes(text: str) -> int:
    """Convert an amount of memory to bytes: `memory_in_bytes("1.5Gi") == 1610612736`."""
    number, suffix = _split(text)
    return int(number * _BYTES[suffix])


def duration_in_seconds(text: str) -> float:
    """Convert a duration to seconds: `duration_in_seconds("50ms") == 0.05`."""
    number, suffix = _split(text)
    return number * _SECONDS[suffix]


def retention_in_seconds(text: str) -> float:
    """Convert a retention to seconds: `retention_in_seconds("2d") == 172800`."""
    return int(text[:-1]) * (86400.0 if text.endswith("d") else 3600.0)


def bound_holds(bound: str, value: float) -> bool:
    """Whether a measured value satisfies a bound such as `>= 0.9`."""
    match = re.match(r"(>=|<=|>|<|==)\s*(\S+)$", bound)
    assert match, bound  # noqa: S101 - the loader has checked the pattern
    return bool(_COMPARISONS[match[1]](value, float(match[2])))


def environment_name(name: str) -> str:
    """Convert a name for use in an environment variable: `work-orders` becomes `WORK_ORDERS`."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _split(text: str) -> tuple[float, str]:
    match = re.match(r"([0-9.]+)([A-Za-z]*)$", text)
    assert match, text  # noqa: S101 - the loader has checked the pattern
    return float(match[1]), match[2]
