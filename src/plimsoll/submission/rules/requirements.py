"""Rules for the list of requirements: ids, levels and descriptions must equal those of the template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from plimsoll.capabilities.requirements import REQUIREMENTS, VERSIONS
from plimsoll.submission.finding import RuleMatch
from plimsoll.submission.questionnaire import QuestionnaireEntry
from plimsoll.submission.rules.context import RuleContext
from plimsoll.submission.version_requirements import is_official_description, same_description


def missing_category(context: RuleContext) -> Iterator[RuleMatch]:
    """The questionnaire must have every category of the template."""
    spec = context.questionnaire.root.get("spec")
    if context.expected is None or not isinstance(spec, dict):
        return
    for category in dict.fromkeys(context.expected.categories.values()):
        if category not in spec:
            near = next((key for key in spec if key.replace("_", "").lower() == category.lower()), "")
            fix = f"rename '{near}' to '{category}'" if near else "add it from the template"
            place = context.questionnaire.place_of_key("spec", near) if near else context.questionnaire.place("spec")
            yield RuleMatch(place=place, why=f"the category '{category}' is missing", fix=fix)


def missing_requirement(context: RuleContext) -> Iterator[RuleMatch]:
    """The questionnaire must have every requirement of the template, in the same category."""
    spec = context.questionnaire.root.get("spec")
    if context.expected is None or not isinstance(spec, dict):
        return
    present = {(entry.category, entry.id) for entry in context.entries}
    for name, category in context.expected.categories.items():
        if (category, name) in present or category not in spec:
            continue
        if moved := next((entry for entry in context.entries if entry.id == name), None):
            why = f"'{name}' is in '{moved.category}', but the validator expects it in '{category}'"
            yield context.at_field(moved, "id", why, f"move it to '{category}'")
        elif altered := _altered_entry(context, name, category):
            why = f"'{name}' is missing; its id appears to be altered to '{altered.id}'"
            yield context.at_field(altered, "id", why, f"write {name}")
        else:
            place = context.questionnaire.place_of_key("spec", category)
            why = f"'{name}' is missing in '{category}'"
            yield RuleMatch(place=place, why=why, fix="add it from the template", requirement=name)


def _altered_entry(context: RuleContext, name: str, category: str) -> QuestionnaireEntry | None:
    """The entry with an unknown id that was meant to be this requirement, by its id or its description."""
    known = context.expected.levels if context.expected else {}
    unknown = {entry.id: entry for entry in context.entries if entry.id and entry.id not in known}
    near = get_close_matches(name, unknown, n=1, cutoff=0.8)
    if near:
        return unknown[near[0]]
    in_category = (entry for entry in unknown.values() if entry.category == category)
    return next((entry for entry in in_category if is_official_description(name, entry.description)), None)


def unknown_requirement(context: RuleContext) -> Iterator[RuleMatch]:
    """The questionnaire must not have an entry that the template does not have."""
    if context.expected is None:
        return
    missing = [name for name in context.expected.levels if name not in {entry.id for entry in context.entries}]
    altered = [_altered_entry(context, name, context.expected.categories[name]) for name in missing]
    for entry in context.entries:
        if entry.id in context.expected.levels or entry in altered:
            continue
        if not entry.id:
            yield context.at_field(entry, "id", "this entry has no id", "copy the id from the template")
        elif versions := ", ".join(each for each in VERSIONS if each in _levels(entry.id)):
            why = f"'{entry.id}' is not a requirement of {context.expected.version}; it belongs to {versions}"
            yield context.at_field(entry, "id", why, "remove the entry")
        else:
            why = f"'{entry.id}' is not a requirement of {context.expected.version}, so the validator ignores it"
            yield context.at_field(entry, "id", why, "remove the entry")


def _levels(requirement: str) -> Mapping[str, str]:
    return REQUIREMENTS[requirement].levels if requirement in REQUIREMENTS else {}


def duplicate_requirement(context: RuleContext) -> Iterator[RuleMatch]:
    """A requirement must appear once, because the validator reads only its last entry."""
    first: dict[str, QuestionnaireEntry] = {}
    for entry in context.entries:
        if not entry.id:
            continue
        if entry.id in first:
            line = context.questionnaire.place(*first[entry.id].path).line
            why = f"'{entry.id}' appears twice; the first is in line {line}"
            yield context.at_field(entry, "id", why, "remove one of the two")
        first.setdefault(entry.id, entry)


def altered_level(context: RuleContext) -> Iterator[RuleMatch]:
    """The level must equal the template's, because only the programme decides it."""
    for entry in context.entries:
        level = context.expected.levels.get(entry.id) if context.expected else None
        if level and entry.level.strip() != level:
            found = f"the level is '{entry.level}'" if entry.level else "the level is missing"
            yield context.at_field(entry, "level", f"{found}; the template has {level}", f"write level: {level}")


def altered_description(context: RuleContext) -> Iterator[RuleMatch]:
    """The description must equal the template's, because only the programme decides it."""
    fix = "copy it from the template, word for word"
    for entry in context.entries:
        if context.expected is None or entry.id not in context.expected.levels:
            continue
        if not entry.description.strip():
            yield context.at_field(entry, "description", "the description is missing", fix)
        elif entry.id in context.expected.descriptions:
            if not same_description(entry.description, context.expected.descriptions[entry.id]):
                yield context.at_field(entry, "description", "the description differs from the template", fix)
        elif is_official_description(entry.id, entry.description) is False:
            why = "the description differs from the template of every version"
            yield context.at_field(entry, "description", why, fix)
