"""Files of models against their digests, each time that something is started with them."""

from __future__ import annotations

from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.files import digest_of_file
from plimsoll.runtime.server.service_file import ModelFile


def require_unaltered(file: ModelFile) -> None:
    """Raise TargetError unless the files of a version have their digests."""
    for path, digest in file.files.items():
        try:
            found = digest_of_file(Path(path))
        except OSError as error:
            raise TargetError(f"a file of the model cannot be read: {error.strerror}", where=path) from error
        if found != digest:
            hint = "restore the registry from a copy, or pull the model again"
            raise TargetError("a file of the model was altered: its digest differs", where=path, hint=hint)
