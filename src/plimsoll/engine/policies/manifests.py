"""Kubernetes manifests as facts: files that somebody names, and those that a plan renders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.paths import files_ending
from plimsoll.documents.places import display_path
from plimsoll.documents.reading import Reader, describe_value, yaml_nodes
from plimsoll.engine.policies.judging import judge_all
from plimsoll.errors import FileError
from plimsoll.files import open_regular
from plimsoll.policy.facts import Document, Facts, ObjectFacts
from plimsoll.policy.findings import require_passed

ENDINGS = (".yaml", ".yml", ".json")
MOST_BYTES = 64 << 20
MOST_FILES = 1000
MOST_OBJECTS = 20_000
_BEGINS = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)


def read_manifests(path: Path) -> tuple[ObjectFacts, ...]:
    """The objects in a file, or in the files below a directory. Raises FileError."""
    files = [path]
    if path.is_dir():
        files = files_ending(path, ENDINGS)
        if len(files) > MOST_FILES:
            raise FileError(f"there are more than {MOST_FILES} manifests", where=display_path(path))
    found: list[ObjectFacts] = []
    for each in files:
        found += _of_file(each)
        if len(found) > MOST_OBJECTS:
            raise FileError(f"there are more than {MOST_OBJECTS} objects", where=display_path(path))
    if not found:
        hint = f"name a file or a directory of manifests, which end with {', '.join(ENDINGS)}"
        raise FileError("there is no Kubernetes object", where=display_path(path), hint=hint)
    return tuple(found)


def require_objects(file: ApplicationFile, manifests: Sequence[Mapping[str, Any]]) -> None:
    """Raise PolicyRefused for manifests that break a policy of the file."""
    policies = file.application.policies
    if not policies.any:
        return
    objects = tuple(ObjectFacts(place=display_path(file.path), object=dict(each)) for each in manifests)
    facts = Facts(stage="check", application=file.application.name, file=str(file.path), objects=objects)
    require_passed(judge_all(policies, facts, file.directory, "the manifests"), "the manifests")


def _of_file(path: Path) -> Iterator[ObjectFacts]:
    name = display_path(path)
    text = _text(path, name)
    marks = [*_BEGINS.finditer(text)]
    starts = [0, *(mark.end() for mark in marks)]
    ends = [*(mark.start() for mark in marks), len(text)]
    above = counted = 0
    for start, end in zip(starts, ends, strict=True):
        above += text.count("\n", counted, start)
        counted = start
        try:
            yield from _of_document(text[start:end], name, above)
        except FileError as error:
            raise FileError(error.message, where=_lower(error.where, name, above), hint=error.hint) from None


def _of_document(text: str, name: str, above: int) -> list[ObjectFacts]:
    """The objects of one document, which has `above` lines above it."""
    with yaml_nodes(text, name) as nodes:
        if nodes.node is None:
            return []
        if nodes.following is not None:
            where = f"{name}:{nodes.following.start_mark.line + 1}:1"
            raise FileError("another document begins here without `---`", where=where, hint="put `---` before it")
        mark = nodes.node.start_mark
        value = Reader(name, nodes.loader).read(nodes.node, ())
    found = list(_objects(value, f"{name}:{mark.line + 1}:{mark.column + 1}"))
    return [replace(each, place=_lower(each.place, name, above)) for each in found]


def _lower(where: str, name: str, lines: int) -> str:
    """A place in a document as a place in its file."""
    match = re.fullmatch(re.escape(name) + r":(\d+):(\d+)", where)
    return f"{name}:{int(match[1]) + lines}:{match[2]}" if match else where


def _text(path: Path, name: str) -> str:
    try:
        with open_regular(path) as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise FileError(f"the file cannot be read: {error.strerror or error}", where=name) from error
    if len(content) > MOST_BYTES:
        raise FileError(f"the file has more than {MOST_BYTES} bytes", where=name)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FileError("this is not UTF-8 text", where=f"{name}:{line}:1", hint="save the file as UTF-8") from None


def _objects(value: object, at: str) -> Iterator[ObjectFacts]:
    """An object, or each of a list of them."""
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        text = f"expected a Kubernetes object with apiVersion and kind, got {describe_value(value)}"
        raise FileError(text, where=at, hint="name manifests, such as plimsoll plan --output yaml prints")
    items = value.get("items")
    if str(value["kind"]).endswith("List") and isinstance(items, list):
        yield from (each for item in items for each in _objects(item, at))
        return
    found: Document = value
    yield ObjectFacts(place=at, object=found)
