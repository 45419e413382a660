"""A questionnaire (`PRODUCT.yaml` or its template) as values with their places in the file.

A value of the wrong type is kept as `NonText`, so that one mistake does not hide the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from plimsoll.application.documents import read_text_file
from plimsoll.documents.places import Keys, Place, Places, display_path
from plimsoll.documents.reading import Reader, yaml_nodes
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from yaml import CSafeLoader, Node, SafeLoader, ScalarNode

METADATA_FIELDS = (
    "kubernetesVersion",
    "platformName",
    "platformVersion",
    "vendorName",
    "websiteUrl",
    "repoUrl",
    "documentationUrl",
    "productLogoUrl",
    "description",
    "contactEmailAddress",
    "k8sConformanceUrl",
)
OPTIONAL_FIELDS = frozenset({"repoUrl"})
TEXT_FIELDS = ("id", "description", "level", "status", "notes")
_VERSION = re.compile(r"v?(\d+\.\d+)(?:[.+-].*)?")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+|0o[0-7]+")
_VERSION_DIRECTORY = re.compile(r"v(\d+\.\d+)")


class NonText(Struct, frozen=True, kw_only=True):
    """A scalar that is not a text. `kind` names its type (`number`, `date` …), `text` is its spelling in the file."""

    kind: str
    text: str = ""


class EvidenceItem(Struct, frozen=True, kw_only=True):
    """One scalar of an evidence list, with its path in the document."""

    text: str
    path: Keys


class QuestionnaireEntry(Struct, frozen=True, kw_only=True):
    """One requirement with its answer. A text that is missing or of the wrong type is empty.

    `keys` are the keys of the mapping. `has_malformed_evidence` says that `evidence` leaves something out: the value
    is not a list, or an item is not a scalar.
    """

    path: Keys
    category: str
    id: str = ""
    description: str = ""
    level: str = ""
    status: str = ""
    notes: str = ""
    evidence: tuple[EvidenceItem, ...] = ()
    has_malformed_evidence: bool = False
    keys: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the entry in messages: its id, or its position when it has none."""
        return self.id or f"entry {int(self.path[-1]) + 1} of {self.category}"

    @property
    def citations(self) -> tuple[EvidenceItem, ...]:
        """Evidence items that are not blank."""
        return tuple(each for each in self.evidence if each.text.strip())

    @property
    def is_claimed(self) -> bool:
        """Whether the status claims the requirement, in full or in part."""
        return self.status.strip().lower() in ("implemented", "partially implemented")


class RepeatedKey(Struct, frozen=True, kw_only=True):
    """A key that appears twice in one mapping; `place` is the second appearance, `first` the first one."""

    path: Keys
    place: Place
    first: Place

    @property
    def is_refused(self) -> bool:
        """Whether the official validator decodes that mapping, and so refuses the repeated key."""
        return len(self.path) == 1 or self.path[0] in ("metadata", "spec")


class Questionnaire(Struct, frozen=True, kw_only=True):
    """One file. `metadata` has the official field names, `metadata_paths` the paths that the file spells.

    `file` is the path as messages show it. `second_document` is where another YAML document begins, if any.
    """

    file: str
    path: Path
    text: str
    root: dict[str, object]
    places: Places
    metadata: dict[str, object]
    metadata_paths: dict[str, Keys]
    entries: tuple[QuestionnaireEntry, ...]
    repeated: tuple[RepeatedKey, ...] = ()
    second_document: Place | None = None

    @property
    def directory_version(self) -> str:
        """The version of the file's directory (`v1.36/product/PRODUCT.yaml`), or an empty string."""
        above = (_VERSION_DIRECTORY.fullmatch(each.name) for each in self.path.absolute().parents[1:4])
        return next((found[1] for found in above if found), "")

    @property
    def product_directory(self) -> str:
        """Name of the product's directory, or an empty string outside `vX.Y/PRODUCT`."""
        return self.path.absolute().parent.name if self.directory_version else ""

    @property
    def stated_version(self) -> str:
        """The version in the metadata, as `1.36`, or an empty string."""
        found = _VERSION.fullmatch(self.metadata_text("kubernetesVersion").strip())
        return found[1] if found else ""

    def metadata_text(self, field: str) -> str:
        """A metadata field, or an empty string when it is missing or not a text."""
        value = self.metadata.get(field)
        return value if isinstance(value, str) else ""

    def place(self, *path: str | int) -> Place:
        """Place of a value, or of the nearest value around it that exists."""
        while path and path not in self.places.values:
            path = path[:-1]
        return self.places.values.get(path, Place(line=1, column=1))

    def place_of_key(self, *path: str | int) -> Place:
        """Place of a key, or of its value."""
        return self.places.keys.get(path) or self.place(*path)


def read_questionnaire(path: Path) -> Questionnaire:
    """Read a questionnaire. Raises FileError with the place when the file cannot be parsed."""
    file = display_path(path)
    return parse_questionnaire(read_text_file(path, file), path, file)


def parse_questionnaire(text: str, path: Path, file: str) -> Questionnaire:
    """Parse the text of a questionnaire; `file` is the path as messages show it. Raises FileError."""
    with yaml_nodes(text, file) as document:
        if document.node is None:
            raise FileError("the file is empty", where=f"{file}:1:1", hint="start from the official template")
        reader = _QuestionnaireReader(file, document.loader)
        root = reader.read(document.node, ())
        second = document.following
    if not isinstance(root, dict):
        raise FileError(
            "a questionnaire must be a mapping with 'metadata' and 'spec'",
            where=f"{file}:1:1",
            hint="start from the official template",
        )
    metadata, paths = _metadata(root.get("metadata"))
    return Questionnaire(
        file=file,
        path=path,
        text=text,
        root=root,
        places=Places(file=file, values=reader.values, keys=reader.keys),
        metadata=metadata,
        metadata_paths=paths,
        entries=tuple(_entries(root.get("spec"))),
        repeated=tuple(reader.repeated_keys),
        second_document=None if second is None else _place_of(second),
    )


class _QuestionnaireReader(Reader):
    """Reads a document as the official validator's YAML library does: it merges keys and collects repeated keys.

    Source: gopkg.in/yaml.v3, which reads yes, no, on and off as texts.
    """

    most = 20_000  # a questionnaire has about two hundred values

    def __init__(self, file: str, loader: SafeLoader | CSafeLoader) -> None:
        super().__init__(file, loader)
        self.repeated_keys: list[RepeatedKey] = []

    def scalar(self, node: ScalarNode) -> str | NonText | None:
        kind = str(node.tag).rpartition(":")[2]
        value = str(node.value)
        if kind == "null":
            return None
        if kind == "timestamp":
            return NonText(kind="date", text=value)
        # YAML readers disagree on some unquoted values: one reads a number, another a text.
        if (kind in ("int", "float") and ":" not in value) or (
            kind == "str" and not node.style and _NUMBER.fullmatch(value)
        ):
            return NonText(kind="number", text=value)
        if kind == "bool" and value.lower() in ("true", "false"):
            return NonText(kind="boolean", text=value)
        return value

    def merge(self, mapping: dict[str, object], key_node: Node, value_node: Node, path: Keys) -> None:
        merged = self.read(value_node, (*path, "<<"))
        for each in merged if isinstance(merged, list) else [merged]:
            if isinstance(each, dict):
                for key, value in each.items():
                    mapping.setdefault(key, value)

    def repeated(self, path: Keys, key_node: Node, first: Place) -> None:
        self.repeated_keys.append(RepeatedKey(path=path, place=_place_of(key_node), first=first))


def snake_case(name: str) -> str:
    """The snake_case spelling of a metadata field, which the official validator accepts too."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _place_of(node: Node) -> Place:
    return Place(line=node.start_mark.line + 1, column=node.start_mark.column + 1)


def _metadata(section: object) -> tuple[dict[str, object], dict[str, Keys]]:
    values: dict[str, object] = {}
    paths: dict[str, Keys] = {}
    if isinstance(section, dict):
        for field in METADATA_FIELDS:
            for key in (field, snake_case(field)):
                if key in section and field not in paths:
                    values[field], paths[field] = section[key], ("metadata", key)
    return values, paths


def _entries(spec: object) -> Iterator[QuestionnaireEntry]:
    if not isinstance(spec, dict):
        return
    for category, items in spec.items():
        for number, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                yield _entry(category, ("spec", category, number), item)


def _entry(category: str, path: Keys, item: dict[str, object]) -> QuestionnaireEntry:
    listed = item.get("evidence")
    items = listed if isinstance(listed, list) else []
    evidence = [
        EvidenceItem(text=_text(each), path=(*path, "evidence", index))
        for index, each in enumerate(items)
        if isinstance(each, str | NonText)
    ]
    is_list = isinstance(listed, list)
    return QuestionnaireEntry(
        path=path,
        category=category,
        evidence=tuple(evidence),
        has_malformed_evidence=any(isinstance(each, dict | list) for each in items) if is_list else listed is not None,
        keys=tuple(item),
        **{field: _text(item.get(field)) for field in TEXT_FIELDS},
    )


def _text(value: object) -> str:
    # Where a text is wanted, the validator's library reads a number as the text that spells it.
    if isinstance(value, NonText):
        return value.text
    return value if isinstance(value, str) else ""
