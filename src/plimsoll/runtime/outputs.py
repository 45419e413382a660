"""The files that a step writes to $PLIMSOLL_OUTPUT, read in the same way on every target; and its command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from plimsoll.errors import TargetError
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
    """Name and size in bytes of every file that a step left, sorted by name."""
    found = sorted(path for path in output.rglob("*") if path.is_file())
    return tuple(OutputFile(name=str(path.relative_to(output)), size=path.stat().st_size) for path in found)


def require_outputs(output: Path, names: Iterable[str]) -> None:
    """Raise TargetError that names the missing files of `outputs`."""
    missing = [name for name in names if not (output / name).exists()]
    if missing:
        raise TargetError(
            f"the command succeeded but wrote no {', '.join(missing)}",
            hint="write every file of `outputs` to the directory in $PLIMSOLL_OUTPUT",
        )
