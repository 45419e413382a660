"""Sources that are used in place. They are the user's own files, so that their content counts only with its digest."""

from __future__ import annotations

from pathlib import Path

from plimsoll.application.digests import Digests
from plimsoll.errors import TargetError
from plimsoll.state.directory import StateDirectory


def source_in_place(state: StateDirectory, source: str, sha256: str) -> Path:
    """The path of a source of this application. Raises TargetError when its content has not the digest."""
    path = (state.application / source).resolve()
    digests = Digests(state.digests)
    try:
        found = digests.of(path)
    except FileNotFoundError as error:
        hint = "correct `source` in the file, or put the data back"
        raise TargetError("the source does not exist", where=str(path), hint=hint) from error
    except OSError as error:
        hint = "make it readable"
        raise TargetError(f"the source cannot be read: {error.strerror}", where=str(path), hint=hint) from error
    digests.save()
    if found != sha256:
        hint = "run again, to use the data as it is now"
        raise TargetError("the source has changed since the run began", where=str(path), hint=hint, lasting=True)
    return path
