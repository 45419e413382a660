"""From a file to typed structures, or to one error that says where the mistake stands and what was meant."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.application.documents import read_document
from plimsoll.application.model import Application
from plimsoll.application.places import Places
from plimsoll.application.shape import mistakes
from plimsoll.errors import FileError


class ApplicationFile(Struct, frozen=True, kw_only=True):
    """An application and where each part of it stands."""

    path: Path
    application: Application
    places: Places

    @property
    def directory(self) -> Path:
        """Where relative paths in the file start."""
        return self.path.parent

    def where(self, *keys: str | int) -> str:
        """file:line:column of the value at a path of keys."""
        return self.places.where(*keys)


def load(path: Path) -> ApplicationFile:
    """Read a file and check its shape; `application.checks` looks at its meaning. Raises FileError."""
    path = path.absolute()
    document, places = read_document(path)
    found = mistakes(document, Application)
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
        application = msgspec.convert(document, Application, strict=True)
    except msgspec.ValidationError as error:
        raise FileError(str(error), where=places.file) from None
    return ApplicationFile(path=path, application=application, places=places)
