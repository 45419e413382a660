"""Rules of the status and of when a requirement may be said not to apply."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plimsoll.capabilities.requirements import MUST, REQUIREMENTS, SHOULD
from plimsoll.submission.expected import MAY_NOT_APPLY
from plimsoll.submission.finding import Hit, Severity
from plimsoll.submission.questionnaire import Entry
from plimsoll.submission.rules.context import Context

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


def bad_status(context: Context) -> Iterator[Hit]:
    """One of the four words, to the letter; nothing at all only for a SHOULD without evidence."""
    for entry in _judged(context):
        if entry.status in STATUSES:
            continue
        if entry.status:
            meant = next((each for each in STATUSES if each.lower() == entry.status.strip().lower()), "")
            why = f"'{entry.status}' is no status that the validator knows"
            fix = f"write {meant}" if meant else f"write one of: {', '.join(STATUSES)}"
            yield context.at(entry, "status", why, fix)
        elif context.level(entry) == SHOULD and entry.evidence:
            why = f"{entry.name} has evidence and no status"
            yield context.at(entry, "status", why, "say Implemented, or remove the evidence")


def must_not_implemented(context: Context) -> Iterator[Hit]:
    """A MUST is done or the platform does not conform."""
    for entry in _judged(context):
        if context.level(entry) == MUST and entry.status in ("", "Not Implemented", "Partially Implemented"):
            said = f"is '{entry.status}'" if entry.status else "has no status"
            may = ", or N/A with a reason in the notes" if entry.id in MAY_NOT_APPLY else ""
            yield context.at(entry, "status", f"{entry.name} is a MUST and {said}", f"it must be Implemented{may}")


def na_on_must(context: Context) -> Iterator[Hit]:
    """Only a MUST whose condition can fail may not apply, and the validator knows one."""
    for entry in _judged(context):
        if context.level(entry) == MUST and entry.status == NOT_APPLICABLE and entry.id not in MAY_NOT_APPLY:
            condition = REQUIREMENTS[entry.id].condition if entry.id in REQUIREMENTS else ""
            why = f"{entry.name} is a MUST that may not be N/A"
            if condition:
                why += f", although it holds only where {condition}"
            yield context.at(entry, "status", why, "show it and say Implemented, or ask the programme first")


def na_without_notes(context: Context) -> Iterator[Hit]:
    """N/A is a claim that wants its reason."""
    for entry in _judged(context):
        if entry.status == NOT_APPLICABLE and not entry.notes.strip():
            yield context.at(entry, "notes", f"{entry.name} is N/A without a reason", "say why it does not apply")


def na_weak_reason(context: Context) -> Iterator[Hit]:
    """The programme takes a reason why the context does not apply, not that a thing is not supported."""
    for entry in _judged(context):
        notes = entry.notes.strip()
        if entry.status != NOT_APPLICABLE or not notes:
            continue
        fix = "say what about the platform makes the requirement's context not apply"
        if _NO_REASON.fullmatch(notes):
            yield context.at(entry, "notes", f"'{notes}' is no reason why {entry.name} does not apply", fix)
        elif _UNSUPPORTED.search(notes) and not _has_condition(entry) and len(notes.split()) < 25:
            why = "that something is not supported is, by the programme's rules, no reason for N/A"
            yield context.at(entry, "notes", why, fix, Severity.NOTE)


def na_conditional(context: Context) -> Iterator[Hit]:
    """A reviewer reads the reason of a MUST that is said not to apply."""
    for entry in _judged(context):
        stated = entry.status == NOT_APPLICABLE and entry.notes.strip()
        if stated and context.level(entry) == MUST and entry.id in MAY_NOT_APPLY:
            why = f"{entry.name} is a MUST marked N/A: a reviewer will weigh the reason in the notes"
            yield context.at(entry, "status", why, "nothing to do if the condition truly does not hold")


def partial_without_notes(context: Context) -> Iterator[Hit]:
    """What is done in part leaves the question which part."""
    for entry in _judged(context):
        if entry.status == "Partially Implemented" and context.level(entry) == SHOULD and not entry.notes.strip():
            yield context.at(
                entry, "status", f"{entry.name} is said to be there in part", "say in the notes which part"
            )


def _has_condition(entry: Entry) -> bool:
    return entry.id in REQUIREMENTS and bool(REQUIREMENTS[entry.id].condition)


def _judged(context: Context) -> list[Entry]:
    """Entries of the version; all of them when the version is unknown."""
    return [entry for entry in context.entries if context.expected is None or entry.id in context.expected.levels]
