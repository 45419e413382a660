"""The files that a step writes to $PLIMSOLL_OUTPUT, read in the same way on every target; and its command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from plimsoll.encoding import is_utf8, readable
from plimsoll.errors import TargetError
from plimsoll.state.output_directory import entries, is_own, own_files
from plimsoll.state.results import OutputFile

_NEEDS_SHELL = re.compile(r"[|&;<>()$`*?\[\]{}#~!\n]|^\s*\w+=")


def argv_of(command: str) -> list[str]:
    """The argv of a command: its words, or a shell when the command uses shell syntax.

    Without a shell there is one process less, and signals reach the command itself.
    """
    if not _NEEDS_SHELL.search(command):
        try:
            return shlex.split(command)
        except ValueError:
            pass
    return ["sh", "-c", command]


def files_in(output: Path) -> tuple[OutputFile, ...]:
    """Name and size in bytes of every file that a step left, sorted by name; a name that is not UTF-8 is left out."""
    found = [OutputFile(name=name, size=size) for name, size in own_files(output) if is_utf8(name)]
    return tuple(sorted(found, key=lambda file: file.name.split("/")))


def unnamed_files(output: Path) -> tuple[str, ...]:
    """A sentence for each file whose name cannot be recorded, at most eight."""
    found = sorted(readable(entry.name) for entry in entries(output) if not is_utf8(entry.name))
    return tuple(f"'{name}' is not part of the result: its name is not UTF-8" for name in found[:8])


def require_outputs(output: Path, names: Iterable[str]) -> None:
    """Raise TargetError that names the missing files of `outputs`."""
    names = list(names)
    missing = [name for name in names if not (output / name).exists()]
    if missing:
        raise TargetError(
            f"the command succeeded but wrote no {', '.join(missing)}",
            hint="write every file of `outputs` to the directory in $PLIMSOLL_OUTPUT",
        )
    foreign = [name for name in names if not is_own(output / name, output)]
    if foreign:
        raise TargetError(
            f"{', '.join(foreign)} leads out of $PLIMSOLL_OUTPUT, or is neither a file nor a directory",
            hint="write a copy: a result must not change with what it points to",
        )
