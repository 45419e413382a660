"""Puts answers into a template's text, and leaves every other byte of it as it is. Pure.

Values are found by their YAML nodes and replaced in the text from the end to the beginning; a template that is written
in another way than with one key a line is refused, not guessed at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from plimsoll.errors import FileError
from plimsoll.submission.answers import Answer
from plimsoll.submission.questionnaire import METADATA, OPTIONAL, snake

CONFORMANCE = "k8sConformanceUrl"
TO_SUPPLY = "[URL of the product's directory in github.com/cncf/k8s-conformance]"


class _Edit(Struct, frozen=True):
    start: int
    end: int
    text: str


class _Field(Struct, frozen=True, kw_only=True):
    """A key's value in the text, with the end of its line and the column of its key."""

    start: int
    end: int
    line_end: int
    column: int
    text: str


def fill(text: str, answers: Sequence[Answer], metadata: Mapping[str, str], file: str = "template") -> str:
    """The template's text with answers and metadata filled in. Raises FileError for a template that cannot be."""
    newline = "\r\n" if "\r\n" in text else "\n"
    root = _root(text, file)
    fields, section_end, section_column = _metadata_fields(root, text, file)
    edits = list(_metadata_edits(fields, metadata))
    if CONFORMANCE not in fields:
        value = _quoted(metadata.get(CONFORMANCE, TO_SUPPLY))
        line = f"{newline}{' ' * section_column}{CONFORMANCE}: {value}"
        edits.append(_Edit(section_end, section_end, line))
    entries = _entries(root, text, file)
    for answer in answers:
        if answer.requirement not in entries:
            hint = "is this the template of another version?"
            raise FileError(f"the template has no requirement '{answer.requirement}'", where=file, hint=hint)
        edits += _answer_edits(text, entries[answer.requirement], answer, newline)
    for edit in sorted(edits, key=lambda each: (each.start, each.end), reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _metadata_edits(fields: Mapping[str, _Field], metadata: Mapping[str, str]) -> list[_Edit]:
    edits = []
    for name, field in fields.items():
        if name in metadata and name != "kubernetesVersion":
            edits.append(_Edit(field.start, field.end, _quoted(metadata[name])))
        elif name in OPTIONAL and field.text.startswith("["):
            # A placeholder is refused even where nothing has to stand.
            edits.append(_Edit(field.start, field.end, '""'))
    return edits


def _answer_edits(text: str, fields: Mapping[str, _Field], answer: Answer, newline: str) -> list[_Edit]:
    status, evidence, notes = fields["status"], fields["evidence"], fields["notes"]
    indent = " " * notes.column
    if not answer.status:
        comments = "".join(f"{newline}{indent}# {line}" for line in _lines(answer.why))
        return [_Edit(notes.line_end, notes.line_end, comments)]
    edits = [_Edit(status.start, status.end, _quoted(answer.status))]
    if answer.evidence:
        items = "".join(f"{newline}{' ' * evidence.column}  - {_quoted(each)}" for each in answer.evidence)
        # With nothing behind it, the space in front of the value goes with it.
        bare = not text[evidence.end : evidence.line_end].strip()
        start = evidence.start - 1 if bare and text[evidence.start - 1] == " " else evidence.start
        edits.append(_Edit(start, evidence.end, ""))
        edits.append(_Edit(evidence.line_end, evidence.line_end, items))
    lines = "".join(f"{newline}{indent}  {line}" for line in _lines(answer.notes))
    edits.append(_Edit(notes.start, notes.end, "|-"))
    edits.append(_Edit(notes.line_end, notes.line_end, lines))
    return edits


def _lines(text: str) -> list[str]:
    clean = "".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in text)
    return [line.strip() for line in clean.split("\n") if line.strip()]


def _quoted(text: str) -> str:
    """In double quotes, with what cannot be printed by its number: every reader takes it for the same text."""
    written = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08X}" for sign in written)


def _metadata_fields(root: Any, text: str, file: str) -> tuple[dict[str, _Field], int, int]:
    """Fields of the metadata by official name, where the last one's line ends, and the column of keys."""
    pairs = _pairs(_child(root, "metadata"))
    if not pairs:
        raise FileError("the template has no metadata", where=file)
    names = {snake(name): name for name in METADATA}
    fields = {names.get(name, name): _field(text, key, value, file) for name, (key, value) in pairs.items()}
    last = max(fields.values(), key=lambda each: each.start)
    return fields, last.line_end, last.column


def _entries(root: Any, text: str, file: str) -> dict[str, dict[str, _Field]]:
    found = {}
    for _, items in _pairs(_child(root, "spec")).values():
        for item in items.value if isinstance(items.value, list) else ():
            where = f"{file}:{item.start_mark.line + 1}:{item.start_mark.column + 1}"
            keys = _pairs(item)
            if not {"id", "status", "evidence", "notes"} <= keys.keys():
                raise FileError("this entry of the template lacks id, status, evidence or notes", where=where)
            fields = {name: _field(text, *keys[name], file) for name in ("status", "evidence", "notes")}
            name = str(keys["id"][1].value)
            if any(each.text for each in fields.values()):
                raise FileError(f"'{name}' is already answered", where=where, hint="give the empty template")
            found[name] = fields
    return found


def _field(text: str, key: Any, value: Any, file: str) -> _Field:
    start, end = value.start_mark.index, value.end_mark.index
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    if text[line_end - 1 : line_end] == "\r":
        line_end -= 1
    if value.start_mark.line != value.end_mark.line or value.start_mark.line != key.start_mark.line or start == end:
        where = f"{file}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
        raise FileError(f"'{key.value}' of the template does not have its value on one line", where=where)
    written = value.value if isinstance(value.value, str) else "".join(map(str, value.value))
    return _Field(start=start, end=end, line_end=line_end, column=key.start_mark.column, text=written)


def _child(node: Any, name: str) -> Any:
    return _pairs(node).get(name, (None, None))[1]


def _pairs(node: Any) -> dict[str, tuple[Any, Any]]:
    """Key and value nodes of a mapping by key; nothing for what is no mapping."""
    import yaml

    return {str(pair[0].value): pair for pair in node.value} if isinstance(node, yaml.MappingNode) else {}


def _root(text: str, file: str) -> Any:
    import yaml

    # The loader in Python, not libyaml's: its marks count signs of the text, which is what is cut here.
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise FileError(f"this is not YAML: {error}", where=file) from None
    if not isinstance(root, yaml.MappingNode):
        raise FileError("this is no template", where=file)
    return root
