"""A YAML document as plain values, with the place of each; every mistake of syntax is a FileError."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from plimsoll.application.places import Keys, Place, Places, shown
from plimsoll.errors import FileError

LARGEST = 4 << 20
"""Bytes: a file that people write is smaller; a larger one has been named by mistake."""
MOST_VALUES = 200_000
"""Values after aliases are followed: a few lines of nested aliases could stand for billions."""
DEEPEST = 64
"""Keys in a path: deeper ones than any file of ours has, and far from what a recursion can bear."""
MERGE = "tag:yaml.org,2002:merge"


def read_document(path: Path) -> tuple[dict[str, Any], Places]:
    """The mapping in a file, and the place of all in it. Raises FileError."""
    file = shown(path)
    with composed(file_text(path, file), file) as document:
        if document.node is None:
            raise FileError("the file is empty", where=file, hint="plimsoll init writes one to start from")
        if document.following is not None:
            raise FileError(
                "the file holds more than one document",
                where=_at(file, document.following),
                hint="one file is one application: put the other into a file of its own",
            )
        reader = Reader(file, document.loader)
        value = reader.read(document.node, ())
    if not isinstance(value, dict):
        raise FileError(
            f"an application is a mapping of keys to values, this is {words(value)}",
            where=f"{file}:1:1",
            hint="plimsoll init writes one to start from",
        )
    return value, Places(file=file, values=reader.values, keys=reader.keys)


class Composed(NamedTuple):
    """A document as nodes: `node` is None when there is none, `following` is the document after it, if any."""

    loader: Any
    node: Any
    following: Any


@contextlib.contextmanager
def composed(text: str, file: str) -> Iterator[Composed]:
    """The nodes of a text, for as long as their loader lives. Raises FileError when it is no YAML."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        try:
            node = loader.get_node() if loader.check_node() else None
            following = loader.get_node() if loader.check_node() else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
            raise FileError(
                f"this is not YAML: {error.problem or error}", where=where, hint=_syntax_hint(text, mark)
            ) from None
        except (yaml.YAMLError, ValueError) as error:
            raise FileError(f"this is not YAML: {error}", where=file) from None
        yield Composed(loader, node, following)
    finally:
        loader.dispose()


class Reader:
    """Turns nodes into values and notes where they stand; `most` is how many values it reads."""

    most = MOST_VALUES

    def __init__(self, file: str, loader: Any) -> None:
        self.file = file
        self.loader = loader
        self.values: dict[Keys, Place] = {}
        self.keys: dict[Keys, Place] = {}
        self.open: list[int] = []

    def read(self, node: Any, path: Keys) -> Any:
        """The value of a node. Raises FileError with the place of what cannot be read."""
        import yaml

        self.values[path] = _place(node)
        if len(self.values) > self.most or id(node) in self.open:
            raise FileError("the aliases of this file stand for too much", where=_at(self.file, node))
        if len(path) > DEEPEST:
            raise FileError("this stands deeper than any file needs", where=_at(self.file, node))
        if isinstance(node, yaml.MappingNode):
            self.open.append(id(node))
            mapping = self._mapping(node, path)
            self.open.pop()
            return mapping
        if isinstance(node, yaml.SequenceNode):
            self.open.append(id(node))
            sequence = [self.read(item, (*path, number)) for number, item in enumerate(node.value)]
            self.open.pop()
            return sequence
        return self.scalar(node)

    def scalar(self, node: Any) -> Any:
        """The value of a node that holds no others. Raises FileError."""
        import yaml

        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            reason = getattr(error, "problem", None) or error
            raise FileError(f"this value cannot be read: {reason}", where=_at(self.file, node)) from None

    def _mapping(self, node: Any, path: Keys) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str):
                raise FileError("a key must be a plain word", where=_at(self.file, key_node))
            inner = (*path, key)
            if key_node.tag == MERGE:
                self.merge(mapping, key_node, value_node, path)
                continue
            if key in mapping and inner in self.keys:
                self.repeated(inner, key_node, self.keys[inner])
            self.keys[inner] = _place(key_node)
            mapping[key] = self.read(value_node, inner)
        return mapping

    def merge(self, mapping: dict[str, Any], key_node: Any, value_node: Any, path: Keys) -> None:
        """What becomes of a merge key."""
        raise FileError("merge keys (<<) are not supported", where=_at(self.file, key_node), hint="write the keys out")

    def repeated(self, path: Keys, key_node: Any, first: Place) -> None:
        """What becomes of a key that stands twice in one mapping."""
        raise FileError(
            f"'{path[-1]}' stands here twice; the first is in line {first.line}",
            where=_at(self.file, key_node),
            hint="rename or remove one of the two",
        )


def words(value: object) -> str:
    """What a value is, in words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text '{value if len(value) <= 60 else value[:57] + '…'}'"
    if isinstance(value, list):
        return "a list"
    return "a mapping" if isinstance(value, dict) else f"a {type(value).__name__}"


def file_text(path: Path, file: str) -> str:
    """The content of a file. Raises FileError when it is missing, too large or not UTF-8."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileError(
            "there is no such file", where=file, hint="name the application file with -f, or write one: plimsoll init"
        ) from None
    except OSError as error:
        raise FileError(f"the file cannot be read: {error.strerror}", where=file) from None
    if len(content) > LARGEST:
        raise FileError(f"the file has {len(content)} bytes: it is not an application file", where=file)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FileError("this is not UTF-8 text", where=f"{file}:{line}:1", hint="save the file as UTF-8") from None


def _place(node: Any) -> Place:
    return Place(line=node.start_mark.line + 1, column=node.start_mark.column + 1)


def _at(file: str, node: Any) -> str:
    place = _place(node)
    return f"{file}:{place.line}:{place.column}"


def _syntax_hint(text: str, mark: Any) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces: YAML does not allow tabs"
    return "check indentation, colons and brackets here and in the line before"
