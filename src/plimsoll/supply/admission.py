"""Which files of a model are not known to hold data alone, as reasons why its version may not be used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plimsoll.errors import PlimsollError
from plimsoll.supply.model_files import judge_file


def unclean(files: Mapping[str, Path]) -> tuple[str, ...]:
    """A sentence for each file that would run something, or of which that is not known."""
    return tuple(filter(None, (_reason(name, path) for name, path in sorted(files.items()))))


def _reason(name: str, path: Path) -> str:
    try:
        found = judge_file(path, name)
    except (PlimsollError, OSError) as error:
        told = error.on_one_line() if isinstance(error, PlimsollError) else error.strerror
        return f"{name} could not be scanned: {told}"
    if found.verdict == "clean":
        return ""
    why = f": {'; '.join(found.reasons[:3])}" if found.reasons else ""
    return f"{name} is {found.verdict}, and only files that hold data alone are asked for{why}"
