"""Rules for the status, and for when a requirement may be N/A."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plimsoll.capabilities.requirements import MUST, REQUIREMENTS, SHOULD
from plimsoll.submission.finding import RuleMatch, Severity
from plimsoll.submission.questionnaire import QuestionnaireEntry
from plimsoll.submission.rules.context import RuleContext
from plimsoll.submission.version_requirements import MUSTS_THAT_ACCEPT_NA

STATUSES = ("Implemented", "Not Implemented", "Partially Implemented", "N/A")
IMPLEMENTED, NOT_APPLICABLE = STATUSES[0], STATUSES[3]
_NO_REASON = re.compile(
    r"\W*(?:n/?a|none|not applicable|does not apply|not supported|unsupported|-|no)?\W*", re.IGNORECASE
)
_UNSUPPORTED = re.compile(
    r"\b(?:we|platform|product|distribution|it|is|are)\b[^.]{0,40}?\b(?:do not|does not|don't|doesn't|not|cannot)"
    r" (?:currently |yet )*(?:support|implement|supported|implemented)\b",
    re.IGNORECASE,
)


def bad_status(context: RuleContext) -> Iterator[RuleMatch]:
    """The status must be one of the four official values. Only a SHOULD without evidence may have none."""
    for entry in _expected_entries(context):
        if entry.status in STATUSES:
            continue
        if entry.status:
            meant = next((each for each in STATUSES if each.lower() == entry.status.strip().lower()), "")
            why = f"'{entry.status}' is not a status that the validator accepts"
            fix = f"write {meant}" if meant else f"write one of: {', '.join(STATUSES)}"
            yield context.at_field(entry, "status", why, fix)
        elif context.level(entry) == SHOULD and entry.evidence:
            why = f"{entry.name} has evidence, but no status"
            yield context.at_field(entry, "status", why, "write Implemented, or remove the evidence")


def must_not_implemented(context: RuleContext) -> Iterator[RuleMatch]:
    """Every MUST must be Implemented for the platform to conform."""
    for entry in _expected_entries(context):
        if context.level(entry) == MUST and entry.status in ("", "Not Implemented", "Partially Implemented"):
            status = f"is '{entry.status}'" if entry.status else "has no status"
            alternative = ", or write N/A with a reason in the notes" if entry.id in MUSTS_THAT_ACCEPT_NA else ""
            why = f"{entry.name} is a MUST and {status}"
            yield context.at_field(entry, "status", why, f"show it and write Implemented{alternative}")


def na_on_must(context: RuleContext) -> Iterator[RuleMatch]:
    """A MUST may be N/A only where the validator accepts it."""
    for entry in _expected_entries(context):
        if context.level(entry) == MUST and entry.status == NOT_APPLICABLE and entry.id not in MUSTS_THAT_ACCEPT_NA:
            condition = REQUIREMENTS[entry.id].condition if entry.id in REQUIREMENTS else ""
            why = f"{entry.name} is a MUST that must not be N/A"
            if condition:
                why += f", although it applies only where {condition}"
            fix = "show it and write Implemented, or ask the programme first"
            yield context.at_field(entry, "status", why, fix)


def na_without_notes(context: RuleContext) -> Iterator[RuleMatch]:
    """N/A needs a reason in the notes."""
    for entry in _expected_entries(context):
        if entry.status == NOT_APPLICABLE and not entry.notes.strip():
            why = f"{entry.name} is N/A without a reason"
            yield context.at_field(entry, "notes", why, "say in the notes why it does not apply")


def na_weak_reason(context: RuleContext) -> Iterator[RuleMatch]:
    """The reason for N/A must say why the requirement does not apply, not that the platform does not support it."""
    fix = "say which property of the platform makes the requirement not apply"
    for entry in _expected_entries(context):
        notes = entry.notes.strip()
        if entry.status != NOT_APPLICABLE or not notes:
            continue
        if _NO_REASON.fullmatch(notes):
            yield context.at_field(entry, "notes", f"'{notes}' does not say why {entry.name} does not apply", fix)
        elif _UNSUPPORTED.search(notes) and not _has_condition(entry) and len(notes.split()) < 25:
            why = "the programme does not accept missing support as a reason for N/A"
            yield context.at_field(entry, "notes", why, fix, Severity.NOTE)


def na_conditional(context: RuleContext) -> Iterator[RuleMatch]:
    """A reviewer checks the reason of every MUST that is N/A."""
    for entry in _expected_entries(context):
        has_reason = entry.status == NOT_APPLICABLE and entry.notes.strip()
        if has_reason and context.level(entry) == MUST and entry.id in MUSTS_THAT_ACCEPT_NA:
            why = f"{entry.name} is a MUST with the status N/A, so a reviewer will check the reason in the notes"
            yield context.at_field(
                entry, "status", why, "no change is needed if the requirement's condition does not hold"
            )


def partial_without_notes(context: RuleContext) -> Iterator[RuleMatch]:
    """The notes of a Partially Implemented requirement should say which part is implemented."""
    for entry in _expected_entries(context):
        if entry.status == "Partially Implemented" and context.level(entry) == SHOULD and not entry.notes.strip():
            why = f"{entry.name} is Partially Implemented without notes"
            yield context.at_field(entry, "status", why, "say in the notes which part is implemented")


def _has_condition(entry: QuestionnaireEntry) -> bool:
    return entry.id in REQUIREMENTS and bool(REQUIREMENTS[entry.id].condition)


def _expected_entries(context: RuleContext) -> list[QuestionnaireEntry]:
    """Entries of the version's requirements; all entries when the version's requirements are not known."""
    return [entry for entry in context.entries if context.expected is None or entry.id in context.expected.levels]
