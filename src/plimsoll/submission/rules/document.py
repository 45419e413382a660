"""Rules for the YAML document: what the official validator's YAML reader refuses or ignores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from plimsoll.documents.places import Keys
from plimsoll.documents.reading import describe_value
from plimsoll.submission.finding import RuleMatch, Severity
from plimsoll.submission.questionnaire import METADATA_FIELDS, TEXT_FIELDS, NonText, snake_case
from plimsoll.submission.rules.context import RuleContext

FIELDS = (*TEXT_FIELDS, "evidence")


def duplicate_key(context: RuleContext) -> Iterator[RuleMatch]:
    """A mapping must not repeat a key, because the validator's YAML reader refuses it."""
    for each in context.questionnaire.repeated:
        yield RuleMatch(
            place=each.place,
            why=f"the key '{each.path[-1]}' appears twice in one mapping; the first is in line {each.first.line}",
            fix="remove one of the two",
            severity=None if each.is_refused else Severity.WARNING,
        )


def extra_document(context: RuleContext) -> Iterator[RuleMatch]:
    """A file must hold one YAML document, because the validator reads only the first."""
    if context.questionnaire.second_document is not None:
        yield RuleMatch(
            place=context.questionnaire.second_document,
            why="a second YAML document begins here, but the official validator reads only the first",
            fix="remove it, or move it to another file",
        )


def missing_section(context: RuleContext) -> Iterator[RuleMatch]:
    """A questionnaire must have the sections metadata and spec."""
    for section in ("metadata", "spec"):
        if context.questionnaire.root.get(section) is None:
            place = context.questionnaire.place_of_key(section)
            why = f"the section '{section}' is missing or empty"
            yield RuleMatch(place=place, why=why, fix="copy it from the official template")


def wrong_type(context: RuleContext) -> Iterator[RuleMatch]:
    """Every value must have the type that the validator decodes."""
    root = context.questionnaire.root
    for section in ("metadata", "spec"):
        if root.get(section) is not None and not isinstance(root[section], dict):
            yield _wrong_type(context, (section,), root[section], "a mapping", "indent its keys below it")
    for field, value in context.questionnaire.metadata.items():
        if value is not None and not isinstance(value, str):
            path = context.questionnaire.metadata_paths[field]
            fix = f'quote it: "{value.text}"' if isinstance(value, NonText) else "write one text"
            yield _wrong_type(context, path, value, "a text", fix)
    spec = root.get("spec")
    for category, items in (spec if isinstance(spec, dict) else {}).items():
        if items is not None and not isinstance(items, list):
            fix = "begin each requirement with '- id:'"
            yield _wrong_type(context, ("spec", category), items, "a list of requirements", fix)
        for index, item in enumerate(items if isinstance(items, list) else ()):
            yield from _wrong_types_in_entry(context, ("spec", category, index), item)


def _wrong_types_in_entry(context: RuleContext, path: Keys, item: object) -> Iterator[RuleMatch]:
    if not isinstance(item, dict):
        if item is not None:
            yield _wrong_type(context, path, item, "a requirement", "begin it with '- id:'")
        return
    for key in TEXT_FIELDS:
        if isinstance(item.get(key), dict | list):
            yield _wrong_type(context, (*path, key), item[key], "a text", "write one text; `|` keeps its lines")
    evidence = item.get("evidence")
    if evidence is not None and not isinstance(evidence, list):
        fix = 'write [] or begin each item with "- "'
        yield _wrong_type(context, (*path, "evidence"), evidence, "a list", fix)
    for index, each in enumerate(evidence if isinstance(evidence, list) else ()):
        if isinstance(each, dict | list):
            fix = "write only the link here, and move the words to the notes"
            yield _wrong_type(context, (*path, "evidence", index), each, "a text", fix)


def _wrong_type(context: RuleContext, path: Keys, value: object, wanted: str, fix: str) -> RuleMatch:
    name = next((key for key in reversed(path) if isinstance(key, str)), "")
    found = f"the {value.kind} {value.text}" if isinstance(value, NonText) else describe_value(value)
    return context.at_path(path, f"'{name}' must be {wanted}, but is {found}", fix)


def misspelt_key(context: RuleContext) -> Iterator[RuleMatch]:
    """An unknown key must not look like one that is missing."""
    metadata = context.questionnaire.root.get("metadata")
    if isinstance(metadata, dict):
        missing = [name for name in METADATA_FIELDS if name not in context.questionnaire.metadata_paths]
        known = {*METADATA_FIELDS, *map(snake_case, METADATA_FIELDS)}
        yield from _misspelt(context, ("metadata",), metadata, missing, known)
    for entry in context.entries:
        missing = [key for key in FIELDS if key not in entry.keys]
        yield from _misspelt(context, entry.path, entry.keys, missing, set(FIELDS))


def _misspelt(
    context: RuleContext, path: Keys, keys: Iterable[str], missing: list[str], known: set[str]
) -> Iterator[RuleMatch]:
    by_lower_case = {name.lower(): name for name in missing}
    for key in keys:
        if key in known:
            continue
        near = get_close_matches(key.lower().replace("_", "").replace("-", ""), by_lower_case, n=1, cutoff=0.85)
        if near:
            place = context.questionnaire.place_of_key(*path, key)
            fix = f"did you mean '{by_lower_case[near[0]]}'?"
            yield RuleMatch(place=place, why=f"the key '{key}' is unknown and ignored", fix=fix)
