"""What a scan has found of one thing, and what that means for a gate. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

Verdict = Literal["clean", "vulnerable", "unsafe", "unknown"]


class Finding(Struct, frozen=True, kw_only=True):
    """One thing and its verdict: a package with its version, or a file by its path in a directory or an archive.

    `reasons` say why it is not clean; `notes` say what it has that is no fault.
    """

    what: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def count(findings: Iterable[Finding]) -> dict[Verdict, int]:
    """How many things have each verdict."""
    found: dict[Verdict, int] = {"clean": 0, "vulnerable": 0, "unsafe": 0, "unknown": 0}
    for each in findings:
        found[each.verdict] += 1
    return found
