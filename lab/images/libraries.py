"""Finds the shared libraries of a program, so that it runs in an image without anything else."""

from __future__ import annotations

import re
from pathlib import Path

from lab.commands import run


def with_libraries(program: Path, path: str) -> dict[str, Path]:
    """The files of an image with `program` at `path`: the program, its loader, and every library that ldd names."""
    found = {path: program}
    for line in run("ldd", program).splitlines():
        if place := re.search(r"(/\S+) \(0x", line):
            found[place[1].lstrip("/")] = Path(place[1]).resolve()
    return found
