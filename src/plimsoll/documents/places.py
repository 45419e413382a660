"""Line and column of each value of a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

Keys = tuple[str | int, ...]


class Place(Struct, frozen=True, kw_only=True):
    """A line and a column, both counted from 1."""

    line: int
    column: int


class Places(Struct, frozen=True, kw_only=True):
    """Places in one file by path of keys: `values` has the place of each value, `keys` that of each key."""

    file: str
    values: Mapping[Keys, Place]
    keys: Mapping[Keys, Place]

    def where(self, *path: str | int) -> str:
        """file:line:column of the value at a path, or of the nearest enclosing value that exists."""
        return self._format(self.values, path)

    def where_key(self, *path: str | int) -> str:
        """file:line:column of the key at a path."""
        return self._format({**self.values, **self.keys}, path)

    def _format(self, places: Mapping[Keys, Place], path: Keys) -> str:
        while path and path not in places:
            path = path[:-1]
        place = places.get(path, Place(line=1, column=1))
        return f"{self.file}:{place.line}:{place.column}"


def display_path(path: Path) -> str:
    """A path for messages: relative when it is below the current directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
