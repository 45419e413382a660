"""Rules for the notes: they must support the claim."""

from __future__ import annotations

import re
from collections.abc import Iterator

from plimsoll.capabilities.requirements import MUST, REQUIREMENTS
from plimsoll.submission.finding import RuleMatch
from plimsoll.submission.note_analysis import contradicting_sentence, sentence_denying_condition
from plimsoll.submission.questionnaire import QuestionnaireEntry
from plimsoll.submission.rules.context import RuleContext
from plimsoll.submission.rules.status import IMPLEMENTED
from plimsoll.submission.version_requirements import MUSTS_THAT_ACCEPT_NA

MIN_COPIED_WORDS = 6
"""Words from which on two requirements must not share their notes; shorter ones ("See the evidence.") do no harm."""


def notes_contradict(context: RuleContext) -> Iterator[RuleMatch]:
    """The notes of an Implemented requirement must not say that it is not implemented."""
    for entry in context.entries:
        if entry.status != IMPLEMENTED or sentence_denying_condition(entry.id, entry.notes):
            continue
        if sentence := contradicting_sentence(entry.id, entry.notes, _platform_names(context)):
            why = f"{entry.name} is Implemented, but its notes say: “{_short(sentence)}”"
            yield context.at_field(entry, "notes", why, "correct the status or the notes")


def condition_not_met(context: RuleContext) -> Iterator[RuleMatch]:
    """A requirement must not be Implemented when its notes say that its condition does not hold."""
    for entry in context.entries:
        if entry.status != IMPLEMENTED:
            continue
        if sentence := sentence_denying_condition(entry.id, entry.notes):
            condition = REQUIREMENTS[entry.id].condition
            why = f"{entry.name} applies where {condition}, but its notes say: “{_short(sentence)}”"
            fix = (
                "set the status to N/A with this reason"
                if entry.id in MUSTS_THAT_ACCEPT_NA or context.level(entry) != MUST
                else "show it on a cluster where the condition holds; the validator does not accept N/A here"
            )
            yield context.at_field(entry, "notes", why, fix)


def notes_copied(context: RuleContext) -> Iterator[RuleMatch]:
    """Two requirements must not have the same notes, because each is shown in its own way."""
    groups: dict[str, list[QuestionnaireEntry]] = {}
    for entry in context.entries:
        words = re.findall(r"\w+", entry.notes.lower())
        if entry.is_claimed and len(words) >= MIN_COPIED_WORDS:
            groups.setdefault(" ".join(words), []).append(entry)
    for first, *others in groups.values():
        names = {each.id for each in others} - {first.id}
        if names:
            line = context.questionnaire.place(*first.path).line
            why = f"the notes repeat those of {first.name} in line {line} word for word"
            if len(names) > 1:
                why += f", and so do those of {len(names) - 1} more"
            yield context.at_field(others[0], "notes", why, "say for each requirement how it was shown")


def no_notes(context: RuleContext) -> Iterator[RuleMatch]:
    """Every MUST should have notes. The programme asks for them, although the validator does not check."""
    without = [
        entry
        for entry in context.entries
        if context.level(entry) == MUST and entry.status == IMPLEMENTED and not entry.notes.strip()
    ]
    if without:
        why = f"MUSTs without notes: {', '.join(entry.name for entry in without)}"
        yield context.at_field(without[0], "notes", why, "say in a sentence or two how each was shown")


def _platform_names(context: RuleContext) -> tuple[str, ...]:
    """Names that the notes may use for the platform, in lower case."""
    fields = ("platformName", "vendorName")
    names = (context.questionnaire.metadata_text(field).strip().lower() for field in fields)
    return tuple(name for name in names if name and not name.startswith("["))


def _short(sentence: str) -> str:
    return sentence if len(sentence) <= 140 else f"{sentence[:137]}…"
