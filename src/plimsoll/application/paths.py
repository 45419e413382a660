"""Checks of the paths that an application file names, on this machine's disk."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.shape import suggest_name
from plimsoll.documents.places import display_path
from plimsoll.errors import FileError

MOST_ENTRIES = 20_000
"""Files and directories that are looked at for those of a kind."""


def unreadable_reason(path: Path) -> str:
    """Why a path cannot be read, as the predicate of a sentence; empty when it can."""
    if not path.exists():
        return "does not exist"
    return "" if os.access(path, os.R_OK) else "is not readable by you"


def is_below(name: str) -> bool:
    """Whether a relative name stays below its base directory and is not the directory itself."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and name not in {"", "."}


def files_ending(directory: Path, endings: tuple[str, ...]) -> list[Path]:
    """The files below a directory whose names have one of these ends, in order.

    Raises FileError for a directory with more than anybody writes by hand, such as that of a whole disk.
    """
    found, seen = [], 0
    for here, _, names in os.walk(directory):
        seen += len(names) + 1
        if seen > MOST_ENTRIES:
            hint = "name the directory that has them and nothing else"
            raise FileError(f"there are more than {MOST_ENTRIES} files here", where=display_path(directory), hint=hint)
        found += [Path(here) / name for name in names if name.endswith(endings)]
    return sorted(found)


def require_readable(file: ApplicationFile, what: str, named: str, *keys: str | int) -> None:
    """Raise FileError for a path that cannot be read; the hint suggests the most similar name."""
    path = file.directory / named
    problem = unreadable_reason(path)
    if not problem:
        return
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    close = suggest_name(path.name, siblings) if siblings else ""
    hint = close if close.startswith("did") else "paths are relative to the application file"
    raise file.error(f"{what} {named} {problem}", hint, *keys)
