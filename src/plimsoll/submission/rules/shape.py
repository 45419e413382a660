"""Rules of the document itself: what the official validator's YAML reader refuses or passes over."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from plimsoll.application.documents import words
from plimsoll.submission.finding import Hit, Severity
from plimsoll.submission.questionnaire import METADATA, TEXTS, Odd, snake
from plimsoll.submission.rules.context import Context

FIELDS = (*TEXTS, "evidence")


def duplicate_key(context: Context) -> Iterator[Hit]:
    """The validator's reader refuses a mapping that has a key twice."""
    for each in context.questionnaire.repeated:
        yield Hit(
            place=each.place,
            why=f"'{each.path[-1]}' stands here twice; the first is in line {each.first.line}",
            fix="remove one of the two",
            severity=None if each.refused else Severity.WARNING,
        )


def extra_document(context: Context) -> Iterator[Hit]:
    """The validator reads the first document only."""
    if context.questionnaire.following is not None:
        yield Hit(
            place=context.questionnaire.following,
            why="a second YAML document begins here; the official validator reads the first only",
            fix="remove it, or put it into a file of its own",
        )


def missing_section(context: Context) -> Iterator[Hit]:
    """Both sections are asked for."""
    for section in ("metadata", "spec"):
        if context.questionnaire.root.get(section) is None:
            place = context.questionnaire.place_of_key(section)
            yield Hit(place=place, why=f"the section '{section}' is missing or empty", fix="start from the template")


def wrong_type(context: Context) -> Iterator[Hit]:
    """What the validator cannot decode, or decodes into something that is no text."""
    root = context.questionnaire.root
    for section in ("metadata", "spec"):
        if root.get(section) is not None and not isinstance(root[section], dict):
            yield _odd(context, (section,), root[section], "a mapping", "write its keys below it, indented")
    for field, value in context.questionnaire.metadata.items():
        if value is not None and not isinstance(value, str):
            yield _odd(context, context.questionnaire.found[field], value, "a text", _quoted(value))
    spec = root.get("spec")
    for category, items in (spec if isinstance(spec, dict) else {}).items():
        if items is not None and not isinstance(items, list):
            yield _odd(context, ("spec", category), items, "a list of requirements", "begin each with '- id:'")
        for number, item in enumerate(items if isinstance(items, list) else ()):
            yield from _wrong_in(context, ("spec", category, number), item)


def _wrong_in(context: Context, path: tuple[str | int, ...], item: Any) -> Iterator[Hit]:
    if not isinstance(item, dict):
        if item is not None:
            yield _odd(context, path, item, "a requirement", "begin it with '- id:'")
        return
    for key in TEXTS:
        if isinstance(item.get(key), dict | list):
            yield _odd(context, (*path, key), item[key], "a text", "write one text; `|` keeps its lines")
    evidence = item.get("evidence")
    if evidence is not None and not isinstance(evidence, list):
        yield _odd(context, (*path, "evidence"), evidence, "a list", 'write [] or begin each item with "- "')
    for place, each in enumerate(evidence if isinstance(evidence, list) else ()):
        if isinstance(each, dict | list):
            yield _odd(
                context,
                (*path, "evidence", place),
                each,
                "a text",
                "put the link alone there, and words into the notes",
            )


def _odd(context: Context, path: tuple[str | int, ...], value: Any, wanted: str, fix: str) -> Hit:
    name = next((str(key) for key in reversed(path) if isinstance(key, str)), "")
    found = f"the {value.kind} {value.text}" if isinstance(value, Odd) else words(value)
    return context.at_path(path, f"'{name}' must be {wanted}, this is {found}", fix)


def _quoted(value: Any) -> str:
    return f'quote it: "{value.text}"' if isinstance(value, Odd) else "write one text"


def misspelt_key(context: Context) -> Iterator[Hit]:
    """A key that nobody reads, beside one that is missing."""
    root = context.questionnaire.root
    metadata = root.get("metadata")
    if isinstance(metadata, dict):
        lacking = [name for name in METADATA if name not in context.questionnaire.found]
        yield from _misspelt(context, ("metadata",), metadata, lacking, {*METADATA, *map(snake, METADATA)})
    for entry in context.entries:
        keys = [key for key in FIELDS if key not in entry.keys]
        yield from _misspelt(context, entry.path, dict.fromkeys(entry.keys), keys, set(FIELDS))


def _misspelt(
    context: Context, path: tuple[str | int, ...], found: dict[str, Any], lacking: list[str], known: set[str]
) -> Iterator[Hit]:
    by_plain = {name.lower(): name for name in lacking}
    for key in found:
        if key in known:
            continue
        near = get_close_matches(key.lower().replace("_", "").replace("-", ""), by_plain, n=1, cutoff=0.85)
        if near:
            place = context.questionnaire.place_of_key(*path, key)
            meant = by_plain[near[0]]
            yield Hit(place=place, why=f"nobody reads '{key}'", fix=f"did you mean '{meant}'?")
