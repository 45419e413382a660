"""Paths that a file names, looked at on this machine's disk."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.shape import near


def problem_of(path: Path) -> str:
    """Why a path cannot be read, as the rest of a sentence; empty when it can."""
    if not path.exists():
        return "does not exist"
    return "" if os.access(path, os.R_OK) else "is not readable by you"


def is_below(name: str) -> bool:
    """Whether a name stands for something below the directory that it is relative to."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and name not in {"", "."}


def require_readable(file: ApplicationFile, what: str, named: str, *keys: str | int) -> None:
    """Raise FileError at a place in the file for a path that cannot be read; the hint suggests the nearest name."""
    path = file.directory / named
    problem = problem_of(path)
    if not problem:
        return
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    close = near(path.name, siblings) if siblings else ""
    hint = close if close.startswith("did") else "paths are relative to the application file"
    raise file.error(f"{what} {named} {problem}", hint, *keys)
