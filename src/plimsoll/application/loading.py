"""From a file to typed structures, or to one error that says where the mistake stands and what was meant."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.application.application import Application, PartTypes
from plimsoll.application.documents import read_document
from plimsoll.application.places import Places
from plimsoll.application.shape import mistakes
from plimsoll.errors import FileError


class ApplicationFile(Struct, frozen=True, kw_only=True):
    """An application, and the line and column of every value in its file."""

    path: Path
    application: Application
    places: Places

    @property
    def directory(self) -> Path:
        """The directory that relative paths in the file start from."""
        return self.path.parent

    def where(self, *keys: str | int) -> str:
        """file:line:column of the value at a path of keys."""
        return self.places.where(*keys)

    def error(self, message: str, hint: str, *keys: str | int, at_key: bool = False) -> FileError:
        """The error for the value at a path of keys, or for the key itself."""
        where = self.places.where_key(*keys) if at_key else self.places.where(*keys)
        return FileError(message, where=where, hint=hint)


def load_file(path: Path, parts: PartTypes) -> ApplicationFile:
    """Read a file and check its shape against the kinds of parts that it may have. Raises FileError.

    What the values mean, such as a reference to another part, is checked by the kinds themselves.
    """
    path = path.absolute()
    document, places = read_document(path)
    found = mistakes(document, parts.document())
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
