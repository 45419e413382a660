"""The columns of a table that the file names, as its first line tells them: only CSV has one."""

from __future__ import annotations

import csv
from pathlib import Path

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.shape import suggest_name
from plimsoll.files import open_regular

_SEPARATORS = (",", ";", "\t", "|")
_LONGEST = 1 << 20


def require_column(file: ApplicationFile, source: str, column: str, *keys: str | int) -> None:
    """Raise FileError for a column that a CSV file of the source lacks; a directory has to have one that has it."""
    root = file.directory / source
    paths = sorted(root.rglob("*.csv")) if root.is_dir() else [root] if root.suffix in {".csv", ".tsv"} else []
    known: list[str] = []
    for path in paths:
        names = _names(path, column)
        if column in names or not names:
            return
        known = known or names
    if paths:
        text = f"{source} has no column '{column}'"
        raise file.error(text, suggest_name(column, known), *keys)


def _names(path: Path, column: str) -> list[str]:
    """The names in the first line; empty for a file that cannot be read, which is told where it is used."""
    try:
        with open_regular(path) as file:
            line = file.readline(_LONGEST).decode("utf-8-sig").rstrip("\r\n")
        found = [[name.strip() for name in next(csv.reader([line], delimiter=each), [])] for each in _SEPARATORS]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    return next((names for names in found if column in names), max(found, key=len))
