"""YAML as plain values with the place of each; every syntax error is a FileError."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from plimsoll.documents.places import Keys, Place
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from yaml import CSafeLoader, Mark, Node, SafeLoader, ScalarNode

MAX_VALUES = 200_000
"""Limit of values after alias expansion: a few lines of nested aliases can expand to billions."""
MAX_DEPTH = 64
"""Limit of keys in a path: more than any valid file has, and far below Python's recursion limit."""
_USER = re.compile(r"://\S*@")
MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_BARE = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null", "timestamp"))
"""What a key without a tag can look like; it is the text that was written all the same."""


class YamlNodes(NamedTuple):
    """The root node of a document, None for an empty file; `following` is the root of a second document, if any."""

    loader: SafeLoader | CSafeLoader
    node: Node | None
    following: Node | None


@contextlib.contextmanager
def yaml_nodes(text: str, file: str) -> Iterator[YamlNodes]:
    """Parse a text into nodes, which are valid inside the block. Raises FileError for text that is not YAML."""
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
        except yaml.reader.ReaderError as error:
            # The position counts bytes.
            before = text.encode()[: error.position].decode(errors="ignore").split("\n")
            where = f"{file}:{len(before)}:{len(before[-1]) + 1}"
            raise FileError(f"this is not YAML: {error.reason}", where=where) from None
        except (yaml.YAMLError, ValueError) as error:
            raise FileError(f"this is not YAML: {error}", where=file) from None
        yield YamlNodes(loader, node, following)
    finally:
        loader.dispose()


class Reader:
    """Converts nodes to values and records their places; `most` is the limit of values."""

    most = MAX_VALUES

    def __init__(self, file: str, loader: SafeLoader | CSafeLoader) -> None:
        self.file = file
        self.loader = loader
        self.values: dict[Keys, Place] = {}
        self.keys: dict[Keys, Place] = {}
        self.open: list[int] = []

    def read(self, node: Node, path: Keys) -> object:
        """Convert a node to a value. Raises FileError at the place of a node that cannot be read."""
        import yaml

        self.values[path] = _place(node)
        if id(node) in self.open:
            raise FileError("this alias refers to a value that contains it", where=at(self.file, node))
        if len(self.values) > self.most:
            raise FileError(
                f"the file has more than {self.most} values",
                where=at(self.file, node),
                hint="aliases (*name) count as often as they are used: use fewer",
            )
        if len(path) > MAX_DEPTH:
            raise FileError(f"the file is nested more than {MAX_DEPTH} levels deep", where=at(self.file, node))
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
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - the third and last type of node
        return self.scalar(node)

    def scalar(self, node: ScalarNode) -> object:
        """Convert a scalar node to a value. Raises FileError."""
        import yaml

        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, AttributeError, KeyError) as error:
            # The last two come from a tag that its value does not fit, such as `!!timestamp 5` and `!!bool x`.
            fits = not isinstance(error, AttributeError | KeyError)
            reason = (getattr(error, "problem", None) or error) if fits else f"it is no {node.tag.rpartition(':')[2]}"
            raise FileError(f"this value cannot be read: {reason}", where=at(self.file, node)) from None

    def _mapping(self, node: Node, path: Keys) -> dict[str, object]:
        mapping: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str):
                raise FileError("a key must be text, not a list or a mapping", where=at(self.file, key_node))
            inner = (*path, key)
            if key_node.tag == MERGE:
                self.merge(mapping, key_node, value_node, path)
                continue
            if key_node.tag != _TEXT:
                self.require_plain(key_node)
            if key in mapping and inner in self.keys:
                self.repeated(inner, key_node, self.keys[inner])
            self.keys[inner] = _place(key_node)
            mapping[key] = self.read(value_node, inner)
        return mapping

    def require_plain(self, key_node: ScalarNode) -> None:
        """Raise FileError for a key whose tag makes it another value than its text."""
        if key_node.tag not in _BARE:
            tag = shorten(key_node.tag.replace("tag:yaml.org,2002:", "!!"))
            hint = "write the key without a tag"
            raise FileError(f"a key must be text, not '{tag}'", where=at(self.file, key_node), hint=hint)
        self.scalar(key_node)

    def merge(self, mapping: dict[str, object], key_node: Node, value_node: Node, path: Keys) -> None:
        """Handle a merge key: refuse it. A subclass may apply it to `mapping`."""
        raise FileError("merge keys (<<) are not supported", where=at(self.file, key_node), hint="write the keys out")

    def repeated(self, path: Keys, key_node: Node, first: Place) -> None:
        """Handle a duplicate key of a mapping: refuse it. A subclass may record it."""
        raise FileError(
            f"duplicate key '{path[-1]}'; the first is in line {first.line}",
            where=at(self.file, key_node),
            hint="rename or remove one of the two",
        )


def describe_value(value: object) -> str:
    """Name the type of a value, and the value itself when it is short."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text '{shorten(value)}'"
    if isinstance(value, list):
        return "a list"
    return "a mapping" if isinstance(value, dict) else f"a {type(value).__name__}"


def shorten(text: str) -> str:
    """The text for a message, without what an address opens itself with; more than 60 characters are cut."""
    text = _USER.sub("://…@", text[:10_000])
    return text if len(text) <= 60 else text[:57] + "…"


def _place(node: Node) -> Place:
    return Place(line=node.start_mark.line + 1, column=node.start_mark.column + 1)


def at(file: str, node: Node) -> str:
    """file:line:column of a node."""
    place = _place(node)
    return f"{file}:{place.line}:{place.column}"


def _syntax_hint(text: str, mark: Mark | None) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces: YAML does not allow tabs"
    return "check indentation, colons and brackets here and in the line before"
