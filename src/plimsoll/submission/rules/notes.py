"""Rules of the notes: whether they bear out the claim."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plimsoll.capabilities.requirements import MUST, REQUIREMENTS
from plimsoll.submission.expected import MAY_NOT_APPLY
from plimsoll.submission.finding import Hit
from plimsoll.submission.questionnaire import Entry
from plimsoll.submission.rules.context import Context
from plimsoll.submission.rules.status import IMPLEMENTED
from plimsoll.submission.wording import against, condition_denied

LEAST_WORDS = 6
"""Words of a note that two requirements may not share; shorter ones ("See the evidence.") say nothing wrong."""


def notes_contradict(context: Context) -> Iterator[Hit]:
    """Implemented, by notes that say it is not."""
    for entry in context.entries:
        if entry.status != IMPLEMENTED or condition_denied(entry.id, entry.notes):
            continue
        if sentence := against(entry.id, entry.notes, _names(context)):
            why = f"{entry.name} is said to be Implemented, its notes say: “{_short(sentence)}”"
            yield context.at(entry, "notes", why, "bring status and notes together")


def condition_not_met(context: Context) -> Iterator[Hit]:
    """A condition that does not hold is no implementation."""
    for entry in context.entries:
        if entry.status != IMPLEMENTED:
            continue
        if sentence := condition_denied(entry.id, entry.notes):
            condition = REQUIREMENTS[entry.id].condition
            why = f"{entry.name} holds where {condition}; its notes say: “{_short(sentence)}”"
            fix = (
                "say N/A with this reason"
                if entry.id in MAY_NOT_APPLY or context.level(entry) != MUST
                else "show it on a cluster that has it: the validator does not take N/A here"
            )
            yield context.at(entry, "notes", why, fix)


def notes_copied(context: Context) -> Iterator[Hit]:
    """The same words cannot say how two different things were shown."""
    groups: dict[str, list[Entry]] = {}
    for entry in context.entries:
        words = re.findall(r"\w+", entry.notes.lower())
        if entry.claimed and len(words) >= LEAST_WORDS:
            groups.setdefault(" ".join(words), []).append(entry)
    for first, *others in groups.values():
        names = {each.id for each in others} - {first.id}
        if names:
            line = context.questionnaire.place(*first.path).line
            why = f"these notes are word for word those of {first.name} in line {line}"
            if len(names) > 1:
                why += f", and so are those of {len(names) - 1} more"
            yield context.at(others[0], "notes", why, "say for each requirement how it was shown")


def no_notes(context: Context) -> Iterator[Hit]:
    """The programme's instructions ask for notes on each MUST; the validator does not look."""
    silent = [
        entry
        for entry in context.entries
        if context.level(entry) == MUST and entry.status == IMPLEMENTED and not entry.notes.strip()
    ]
    if silent:
        why = f"MUSTs without notes: {', '.join(entry.name for entry in silent)}"
        yield context.at(silent[0], "notes", why, "say in a sentence or two how each was shown")


def _names(context: Context) -> tuple[str, ...]:
    """What the notes may call the platform."""
    said = (context.questionnaire.said(field).strip().lower() for field in ("platformName", "vendorName"))
    return tuple(name for name in said if name and not name.startswith("["))


def _short(sentence: str) -> str:
    return sentence if len(sentence) <= 140 else f"{sentence[:137]}…"
