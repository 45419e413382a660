"""Rules of the list of requirements: ids, levels and texts are the template's and stay so."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from plimsoll.capabilities.requirements import REQUIREMENTS
from plimsoll.submission.expected import known_text, same_text
from plimsoll.submission.finding import Hit
from plimsoll.submission.questionnaire import Entry
from plimsoll.submission.rules.context import Context


def missing_category(context: Context) -> Iterator[Hit]:
    """Every category of the template."""
    spec = context.questionnaire.root.get("spec")
    if context.expected is None or not isinstance(spec, dict):
        return
    for category in dict.fromkeys(context.expected.categories.values()):
        if category not in spec:
            near = next((key for key in spec if key.replace("_", "").lower() == category.lower()), "")
            fix = f"rename '{near}' to '{category}'" if near else "add it from the template"
            place = context.questionnaire.place_of_key("spec", near) if near else context.questionnaire.place("spec")
            yield Hit(place=place, why=f"the category '{category}' is missing", fix=fix)


def missing_requirement(context: Context) -> Iterator[Hit]:
    """Every requirement of the template, in its own category."""
    spec = context.questionnaire.root.get("spec")
    if context.expected is None or not isinstance(spec, dict):
        return
    present = {(entry.category, entry.id) for entry in context.entries}
    for name, category in context.expected.categories.items():
        if (category, name) in present or category not in spec:
            continue
        if moved := next((entry for entry in context.entries if entry.id == name), None):
            why = f"'{name}' stands in '{moved.category}', the validator looks for it in '{category}'"
            yield context.at(moved, "id", why, f"move it to '{category}'")
        elif altered := _altered(context, name, category):
            yield context.at(altered, "id", f"'{altered.id}' is an altered id: '{name}' is missing", f"write {name}")
        else:
            place = context.questionnaire.place_of_key("spec", category)
            fix = "add it from the template"
            yield Hit(place=place, why=f"'{name}' is missing in '{category}'", fix=fix, requirement=name)


def _altered(context: Context, name: str, category: str) -> Entry | None:
    """The entry that was meant to be this requirement: by its id, or by its text."""
    known = context.expected.levels if context.expected else {}
    strangers = {entry.id: entry for entry in context.entries if entry.id and entry.id not in known}
    near = get_close_matches(name, strangers, n=1, cutoff=0.8)
    if near:
        return strangers[near[0]]
    by_text = (
        entry for entry in strangers.values() if entry.category == category and known_text(name, entry.description)
    )
    return next(by_text, None)


def unknown_requirement(context: Context) -> Iterator[Hit]:
    """An entry that the template does not have."""
    if context.expected is None:
        return
    missing = [name for name in context.expected.levels if name not in {entry.id for entry in context.entries}]
    altered = [_altered(context, name, context.expected.categories[name]) for name in missing]
    for entry in context.entries:
        if entry.id in context.expected.levels or entry in altered:
            continue
        if not entry.id:
            yield context.at(entry, "id", "this entry has no id", "take it from the template")
        elif entry.id in REQUIREMENTS:
            versions = ", ".join(REQUIREMENTS[entry.id].levels)
            why = f"'{entry.id}' is no requirement of {context.expected.version}, but of {versions}"
            yield context.at(entry, "id", why, "remove the entry")
        else:
            why = f"'{entry.id}' is no requirement of {context.expected.version}; nobody will judge it"
            yield context.at(entry, "id", why, "remove the entry")


def duplicate_requirement(context: Context) -> Iterator[Hit]:
    """Of two entries with one id the validator reads the last."""
    first: dict[str, Entry] = {}
    for entry in context.entries:
        if not entry.id:
            continue
        if entry.id in first:
            line = context.questionnaire.place(*first[entry.id].path).line
            yield context.at(entry, "id", f"'{entry.id}' is answered twice; the first is in line {line}", "keep one")
        first.setdefault(entry.id, entry)


def altered_level(context: Context) -> Iterator[Hit]:
    """The level is the programme's to say."""
    for entry in context.entries:
        level = context.expected.levels.get(entry.id) if context.expected else None
        if level and entry.level.strip() != level:
            said = f"the level is written as '{entry.level}'" if entry.level else "the level is missing"
            yield context.at(entry, "level", f"{said}; the template says {level}", f"write level: {level}")


def altered_description(context: Context) -> Iterator[Hit]:
    """So is the text."""
    for entry in context.entries:
        if context.expected is None or entry.id not in context.expected.levels:
            continue
        fix = "copy it from the template, word for word"
        if not entry.description.strip():
            yield context.at(entry, "description", "the requirement's text is missing", fix)
        elif entry.id in context.expected.descriptions:
            if not same_text(entry.description, context.expected.descriptions[entry.id]):
                yield context.at(entry, "description", "the text is not that of the template", fix)
        elif known_text(entry.id, entry.description) is False:
            yield context.at(entry, "description", "the text is that of no version's template", fix)
