"""What a step leaves in $PLIMSOLL_OUTPUT, taken in the same way wherever it ran; and what its command line executes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

import msgspec

from plimsoll.errors import TargetError
from plimsoll.state.results import OutputFile

_FOR_A_SHELL = re.compile(r"[|&;<>()$`*?\[\]{}#~!\n]|^\s*\w+=")


def argv_of(command: str) -> list[str]:
    """What to execute: the words themselves, or a shell where the command uses one's language.

    Going without a shell where none is needed saves a process and lets signals reach the command itself.
    """
    if not _FOR_A_SHELL.search(command):
        try:
            return shlex.split(command)
        except ValueError:
            pass
    return ["sh", "-c", command]


def read_metrics(output: Path) -> dict[str, float]:
    """The figures in metrics.json, empty when there is none. Raises TargetError when it is not flat numbers."""
    path = output / "metrics.json"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    try:
        return dict(msgspec.json.decode(content, type=dict[str, float]))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TargetError(
            f"metrics.json is not one flat object of names and finite numbers: {error}",
            hint='write for example {"accuracy": 0.93, "rows": 1200}',
        ) from error


def files_in(output: Path) -> tuple[OutputFile, ...]:
    """Name and size in bytes of every file that a step left, sorted by name."""
    found = sorted(path for path in output.rglob("*") if path.is_file())
    return tuple(OutputFile(name=str(path.relative_to(output)), size=path.stat().st_size) for path in found)


def require_outputs(output: Path, names: Iterable[str]) -> None:
    """Raise TargetError that names the promised files that are not there."""
    missing = [name for name in names if not (output / name).exists()]
    if missing:
        raise TargetError(
            f"the command ended well but left no {', '.join(missing)}",
            hint="write every file of `outputs` to the directory in $PLIMSOLL_OUTPUT",
        )
