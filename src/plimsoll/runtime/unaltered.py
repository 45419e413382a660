"""Files of models against their digests, each time that something is started with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.files import digest_of_file

RESTORE = "restore the registry from a copy, or pull the model again"


def require_unaltered(files: Mapping[str, str]) -> None:
    """Raise TargetError unless every file of a version has its digest; `files` maps paths to digests."""
    for path, digest in files.items():
        try:
            found = digest_of_file(Path(path))
        except OSError as error:
            raise TargetError(f"a file of the model cannot be read: {error.strerror}", where=path) from error
        if found != digest:
            raise TargetError("a file of the model was altered: its digest differs", where=path, hint=RESTORE)
