"""A lint finding: what a rule reports about one place of a questionnaire."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from plimsoll.documents.places import Place


class Severity(StrEnum):
    """`error`: the official validator refuses it. `warning`: a reviewer is likely to ask. `note`: advice."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class LintFinding(Struct, frozen=True, kw_only=True):
    """One finding as users see it. `why` says what is wrong, `fix` what to do; line and column start at 1."""

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
        """Sort key: file, line, column, then rule."""
        return self.file, self.line, self.column, self.rule


class RuleMatch(Struct, frozen=True, kw_only=True):
    """What a rule's function yields. The linter makes a `LintFinding` of it.

    The linter adds the rule's id. `severity` is None for the rule's own severity.
    """

    place: Place
    why: str
    fix: str
    requirement: str = ""
    severity: Severity | None = None
