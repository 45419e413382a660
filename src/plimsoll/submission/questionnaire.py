"""A questionnaire (`PRODUCT.yaml` or its template) as values with places, as far as it can be read at all.

What is of the wrong type is kept as `Odd`, so that one mistake does not hide the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from plimsoll.application.documents import Reader, composed, file_text
from plimsoll.application.places import Keys, Place, Places, shown
from plimsoll.errors import FileError

METADATA = (
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
OPTIONAL = frozenset({"repoUrl"})
TEXTS = ("id", "description", "level", "status", "notes")
_VERSION = re.compile(r"v?(\d+\.\d+)(?:[.+-].*)?")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+|0o[0-7]+")
_PLACED = re.compile(r"v(\d+\.\d+)")


class Odd(Struct, frozen=True, kw_only=True):
    """A value that is no text where one belongs: `kind` says what it is, `text` how it is written."""

    kind: str
    text: str = ""


class Evidence(Struct, frozen=True, kw_only=True):
    """One item of an evidence list that is a text, with where it stands."""

    text: str
    path: Keys


class Entry(Struct, frozen=True, kw_only=True):
    """One requirement as it is answered. Texts are empty where they are missing or of the wrong type."""

    path: Keys
    category: str
    id: str = ""
    description: str = ""
    level: str = ""
    status: str = ""
    notes: str = ""
    evidence: tuple[Evidence, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What to call it."""
        return self.id or f"entry {int(self.path[-1]) + 1} of {self.category}"

    @property
    def links(self) -> tuple[Evidence, ...]:
        """Evidence that says anything."""
        return tuple(each for each in self.evidence if each.text.strip())

    @property
    def claimed(self) -> bool:
        """Whether it is said to be there, whole or in part."""
        return self.status.strip().lower() in ("implemented", "partially implemented")


class Repeated(Struct, frozen=True, kw_only=True):
    """A key that stands twice in one mapping."""

    path: Keys
    place: Place
    first: Place

    @property
    def refused(self) -> bool:
        """Whether the official validator reads that mapping at all."""
        return len(self.path) == 1 or self.path[0] in ("metadata", "spec")


class Questionnaire(Struct, frozen=True, kw_only=True):
    """One file. `metadata` is by official names, `found` has the keys under which they stand."""

    file: str
    path: Path
    text: str
    root: dict[str, Any]
    places: Places
    metadata: dict[str, Any]
    found: dict[str, Keys]
    entries: tuple[Entry, ...]
    repeated: tuple[Repeated, ...] = ()
    following: Place | None = None

    @property
    def placed(self) -> str:
        """The version of the directory that it stands in (`v1.36/product/PRODUCT.yaml`), or nothing."""
        above = (_PLACED.fullmatch(each.name) for each in self.path.absolute().parents[1:4])
        return next((found[1] for found in above if found), "")

    @property
    def product(self) -> str:
        """The product's directory, where the file stands in its place."""
        return self.path.absolute().parent.name if self.placed else ""

    @property
    def stated(self) -> str:
        """The version that its metadata states, as `1.36`, or nothing."""
        found = _VERSION.fullmatch(self.said("kubernetesVersion").strip())
        return found[1] if found else ""

    def said(self, field: str) -> str:
        """A text of the metadata; nothing when it is missing or no text."""
        value = self.metadata.get(field)
        return value if isinstance(value, str) else ""

    def place(self, *path: str | int) -> Place:
        """Where a value stands, or the nearest thing around it that is there."""
        while path and path not in self.places.values:
            path = path[:-1]
        return self.places.values.get(path, Place(line=1, column=1))

    def place_of_key(self, *path: str | int) -> Place:
        """Where a key stands, or else its value."""
        return self.places.keys.get(path) or self.place(*path)


def read_questionnaire(path: Path) -> Questionnaire:
    """Read a file. Raises FileError with the place when nothing can be made of it."""
    file = shown(path)
    return parse_questionnaire(file_text(path, file), path, file)


def parse_questionnaire(text: str, path: Path, file: str) -> Questionnaire:
    """The questionnaire that a text is. Raises FileError."""
    with composed(text, file) as document:
        if document.node is None:
            raise FileError("the file is empty", where=f"{file}:1:1", hint="start from the official template")
        reader = _Tolerant(file, document.loader)
        root = reader.read(document.node, ())
        following = document.following
    if not isinstance(root, dict):
        raise FileError(
            "a questionnaire is a mapping with 'metadata' and 'spec'",
            where=f"{file}:1:1",
            hint="start from the official template",
        )
    places = Places(file=file, values=reader.values, keys=reader.keys)
    metadata, found = _metadata(root.get("metadata"))
    return Questionnaire(
        file=file,
        path=path,
        text=text,
        root=root,
        places=places,
        metadata=metadata,
        found=found,
        entries=tuple(_entries(root.get("spec"))),
        repeated=tuple(reader.twice),
        following=Place(line=following.start_mark.line + 1, column=following.start_mark.column + 1)
        if following is not None
        else None,
    )


class _Tolerant(Reader):
    """Reads what the official validator's YAML library would: merge keys, and repeated keys to be told of later.

    Source: gopkg.in/yaml.v3, which takes yes, no, on and off for texts.
    """

    most = 20_000  # a questionnaire has two hundred

    def __init__(self, file: str, loader: Any) -> None:
        super().__init__(file, loader)
        self.twice: list[Repeated] = []

    def scalar(self, node: Any) -> Any:
        kind = str(node.tag).rpartition(":")[2]
        if kind == "null":
            return None
        if kind == "timestamp":
            return Odd(kind="date", text=node.value)
        # In plain style some things are a number to one reader and a text to the other.
        if (kind in ("int", "float") and ":" not in node.value) or (
            kind == "str" and not node.style and _NUMBER.fullmatch(node.value)
        ):
            return Odd(kind="number", text=node.value)
        if kind == "bool" and node.value.lower() in ("true", "false"):
            return Odd(kind="truth value", text=node.value)
        return node.value

    def merge(self, mapping: dict[str, Any], key_node: Any, value_node: Any, path: Keys) -> None:
        merged = self.read(value_node, (*path, "<<"))
        for each in merged if isinstance(merged, list) else [merged]:
            if isinstance(each, dict):
                for key, value in each.items():
                    mapping.setdefault(key, value)

    def repeated(self, path: Keys, key_node: Any, first: Place) -> None:
        place = Place(line=key_node.start_mark.line + 1, column=key_node.start_mark.column + 1)
        self.twice.append(Repeated(path=path, place=place, first=first))


def snake(name: str) -> str:
    """The other spelling of a metadata key that the official validator takes."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _metadata(section: Any) -> tuple[dict[str, Any], dict[str, Keys]]:
    values: dict[str, Any] = {}
    found: dict[str, Keys] = {}
    if isinstance(section, dict):
        for field in METADATA:
            for key in (field, snake(field)):
                if key in section and field not in found:
                    values[field], found[field] = section[key], ("metadata", key)
    return values, found


def _entries(spec: Any) -> Iterator[Entry]:
    if not isinstance(spec, dict):
        return
    for category, items in spec.items():
        for number, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                yield _entry(category, ("spec", category, number), item)


def _entry(category: str, path: Keys, item: dict[str, Any]) -> Entry:
    texts = {key: item[key] if isinstance(item.get(key), str) else _written(item.get(key)) for key in TEXTS}
    listed = item.get("evidence")
    evidence = [
        Evidence(text=each if isinstance(each, str) else each.text, path=(*path, "evidence", place))
        for place, each in enumerate(listed if isinstance(listed, list) else ())
        if isinstance(each, str | Odd)
    ]
    return Entry(path=path, category=category, evidence=tuple(evidence), keys=tuple(item), **texts)


def _written(value: Any) -> str:
    # The validator's library turns a number into the text that stands there where a text is wanted.
    return value.text if isinstance(value, Odd) else ""
