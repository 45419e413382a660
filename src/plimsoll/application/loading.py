"""Loads a file into typed values, or raises one error with the place of each mistake and a suggestion."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.application.application import ApplicationSpec, PartTypes
from plimsoll.application.documents import read_document
from plimsoll.application.shape import find_mistakes
from plimsoll.documents.places import Places
from plimsoll.encoding import is_utf8, readable
from plimsoll.errors import FileError


class ApplicationFile(Struct, frozen=True, kw_only=True):
    """An application with the line and column of every value in its file."""

    path: Path
    application: ApplicationSpec
    places: Places

    @property
    def directory(self) -> Path:
        """The base directory of relative paths in the file."""
        return self.path.parent

    def where(self, *keys: str | int) -> str:
        """file:line:column of the value at a path of keys."""
        return self.places.where(*keys)

    def error(self, message: str, hint: str, *keys: str | int, at_key: bool = False) -> FileError:
        """A FileError at the value at a path of keys, or at the key itself."""
        where = self.places.where_key(*keys) if at_key else self.places.where(*keys)
        return FileError(message, where=where, hint=hint)


def load_file(path: Path, parts: PartTypes) -> ApplicationFile:
    """Read a file and check its shape against the given kinds of parts. Raises FileError.

    The kinds themselves check the meaning of values, such as a reference to another part.
    """
    path = path.absolute()
    if not is_utf8(str(path)):
        raise FileError(
            "the path of the application has bytes that are not UTF-8",
            where=readable(str(path)),
            hint="rename the directory or the file",
        )
    document, places = read_document(path)
    found = find_mistakes(document, parts.document())
    if found:
        first = found[0]
        where = places.where_key(*first.path) if first.at_key else places.where(*first.path)
        more = [
            f"{places.where_key(*other.path) if other.at_key else places.where(*other.path)}: {other.message}"
            for other in found[1:6]
        ]
        hint = "\n  ".join(filter(None, [first.hint, *([f"and {len(found) - 1} more:", *more] if more else [])]))
        raise FileError(first.message, where=where, hint=hint)
    try:
        application = parts.application(document)
    except msgspec.ValidationError as error:
        raise FileError(str(error), where=places.file) from None
    return ApplicationFile(path=path, application=application, places=places)
