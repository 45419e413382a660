"""Fills answers and metadata into a template's text and changes no other byte. Pure.

YAML nodes give the positions of the values, which are replaced from the end of the text to its beginning. A template
that does not have one key per line is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from plimsoll.errors import FileError
from plimsoll.submission.answers import RequirementAnswer
from plimsoll.submission.questionnaire import METADATA_FIELDS, OPTIONAL_FIELDS, snake_case

if TYPE_CHECKING:
    from yaml import MappingNode, Node

CONFORMANCE_FIELD = "k8sConformanceUrl"
CONFORMANCE_PLACEHOLDER = "[URL of the product's directory in github.com/cncf/k8s-conformance]"
EMPTY_TEMPLATE = "use the unchanged official template, docs/AIConformance-X.Y.yaml"


class _Edit(Struct, frozen=True):
    """Replaces the characters from `start` to `end` of the template's text."""

    start: int
    end: int
    text: str


class _Field(Struct, frozen=True, kw_only=True):
    """A value in the template's text: its offsets, the end of its line, and the column of its key (from 0)."""

    start: int
    end: int
    line_end: int
    column: int
    text: str


def fill_template(
    text: str, answers: Sequence[RequirementAnswer], metadata: Mapping[str, str], file: str = "template"
) -> str:
    """Fill answers and metadata into a template's text. Raises FileError for a template that cannot be filled in."""
    newline = "\r\n" if "\r\n" in text else "\n"
    root = _parse(text, file)
    fields = _metadata_fields(root, text, file)
    edits = list(_metadata_edits(fields, metadata))
    if CONFORMANCE_FIELD not in fields:
        last = max(fields.values(), key=lambda each: each.start)
        value = _quoted(metadata.get(CONFORMANCE_FIELD, CONFORMANCE_PLACEHOLDER))
        line = f"{newline}{' ' * last.column}{CONFORMANCE_FIELD}: {value}"
        edits.append(_Edit(last.line_end, last.line_end, line))
    entries = _entries(root, text, file)
    for answer in answers:
        if answer.requirement not in entries:
            hint = "use the template of the bundle's version"
            raise FileError(f"the template has no requirement '{answer.requirement}'", where=file, hint=hint)
        edits += _answer_edits(text, entries[answer.requirement], answer, newline)
    for edit in sorted(edits, key=lambda each: (each.start, each.end), reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _metadata_edits(fields: Mapping[str, _Field], metadata: Mapping[str, str]) -> Iterator[_Edit]:
    for name, field in fields.items():
        if name in metadata and name != "kubernetesVersion":
            yield _Edit(field.start, field.end, _quoted(metadata[name]))
        elif name in OPTIONAL_FIELDS and field.text.startswith("["):
            # The validator refuses a placeholder even in an optional field.
            yield _Edit(field.start, field.end, '""')


def _answer_edits(text: str, fields: Mapping[str, _Field], answer: RequirementAnswer, newline: str) -> list[_Edit]:
    status, evidence, notes = fields["status"], fields["evidence"], fields["notes"]
    indent = " " * notes.column
    if not answer.status:
        comments = "".join(f"{newline}{indent}# {line}" for line in _lines(answer.why))
        return [_Edit(notes.line_end, notes.line_end, comments)]
    edits = [_Edit(status.start, status.end, _quoted(answer.status))]
    if answer.evidence:
        items = "".join(f"{newline}{' ' * evidence.column}  - {_quoted(each)}" for each in answer.evidence)
        # When nothing follows the value on its line, the space before it is removed too.
        is_last = not text[evidence.end : evidence.line_end].strip()
        start = evidence.start - 1 if is_last and text[evidence.start - 1] == " " else evidence.start
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
    """Quote a text and escape its unprintable characters, so that every YAML reader gives back the same text."""
    written = json.dumps(text, ensure_ascii=False)
    return "".join(sign if sign.isprintable() else f"\\U{ord(sign):08X}" for sign in written)


def _metadata_fields(root: MappingNode, text: str, file: str) -> dict[str, _Field]:
    """The metadata's fields by official name."""
    pairs = _pairs(_child(root, "metadata"))
    if not pairs:
        raise FileError("the template has no metadata", where=file, hint=EMPTY_TEMPLATE)
    names = {snake_case(name): name for name in METADATA_FIELDS}
    return {names.get(name, name): _field(text, key, value, file) for name, (key, value) in pairs.items()}


def _entries(root: MappingNode, text: str, file: str) -> dict[str, dict[str, _Field]]:
    """The status, evidence and notes of every requirement, by id."""
    entries = {}
    for _, items in _pairs(_child(root, "spec")).values():
        for item in items.value if isinstance(items.value, list) else ():
            keys = _pairs(item)
            if not {"id", "status", "evidence", "notes"} <= keys.keys():
                raise FileError(
                    "this entry of the template lacks id, status, evidence or notes",
                    where=_where(file, item),
                    hint=EMPTY_TEMPLATE,
                )
            fields = {name: _field(text, *keys[name], file) for name in ("status", "evidence", "notes")}
            name = str(keys["id"][1].value)
            if any(each.text for each in fields.values()):
                raise FileError(f"'{name}' is already answered", where=_where(file, item), hint=EMPTY_TEMPLATE)
            entries[name] = fields
    return entries


def _field(text: str, key: Node, value: Node, file: str) -> _Field:
    start, end = value.start_mark.index, value.end_mark.index
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    if text[line_end - 1 : line_end] == "\r":
        line_end -= 1
    if value.start_mark.line != value.end_mark.line or value.start_mark.line != key.start_mark.line or start == end:
        raise FileError(
            f"'{key.value}' of the template does not have its value on one line",
            where=_where(file, key),
            hint=EMPTY_TEMPLATE,
        )
    written = value.value if isinstance(value.value, str) else "".join(map(str, value.value))
    return _Field(start=start, end=end, line_end=line_end, column=key.start_mark.column, text=written)


def _where(file: str, node: Node) -> str:
    return f"{file}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def _child(node: MappingNode, name: str) -> Node | None:
    return _pairs(node)[name][1] if name in _pairs(node) else None


def _pairs(node: Node | None) -> dict[str, tuple[Node, Node]]:
    """Key and value nodes of a mapping, by key; empty for any other node."""
    import yaml

    return {str(pair[0].value): pair for pair in node.value} if isinstance(node, yaml.MappingNode) else {}


def _parse(text: str, file: str) -> MappingNode:
    import yaml

    # The pure Python loader, not libyaml: its marks count characters of the text, and the edits need those.
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise FileError(f"the template is not valid YAML: {error}", where=file, hint=EMPTY_TEMPLATE) from None
    if not isinstance(root, yaml.MappingNode):
        raise FileError("the template is not a YAML mapping", where=file, hint=EMPTY_TEMPLATE)
    return root
