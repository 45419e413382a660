"""What a rule has to say about one place of a questionnaire."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from plimsoll.application.places import Place


class Severity(StrEnum):
    """`error`: the official validator would refuse it. `warning`: a reviewer would ask. `note`: good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(Struct, frozen=True, kw_only=True):
    """One finding: where, by which rule, how bad, why, and what to do."""

    file: str
    line: int
    column: int
    rule: str
    severity: Severity
    why: str
    fix: str
    requirement: str = ""

    @property
    def order(self) -> tuple[str, int, int, str]:
        """By place, as one reads a file."""
        return self.file, self.line, self.column, self.rule


class Hit(Struct, frozen=True, kw_only=True):
    """What a rule's function gives: the table adds the rule's name, and its severity unless this has its own."""

    place: Place
    why: str
    fix: str
    requirement: str = ""
    severity: Severity | None = None
