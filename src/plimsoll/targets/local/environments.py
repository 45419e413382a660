"""The cache of Python environments: where an environment is, and whether it is still what was installed.

An environment is shared by all applications with the same requirements, outside of their state directories. Its marker
says which interpreter and which packages were installed, and both are looked at again before each use: systems are
upgraded, and caches are cleaned.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.files import replace_file
from plimsoll.home import cache_home
from plimsoll.kinds.environment import MakeEnvironment
from plimsoll.planning.steps import Step

COMPLETE = "plimsoll-complete"
ANSWER_LIMIT = 20.0
"""Seconds in which an interpreter has to say its version."""
_ASK = "import platform, sys; print(platform.python_version(), sys.prefix)"
_MADE_LATER = (".pyc", ".pyo")
"""Byte code: Python writes it, and may write it again."""


class _Interpreter(Struct, frozen=True):
    path: str
    size: int
    changed: int


@decodable
class _Marker(Struct, frozen=True):
    version: str
    interpreter: _Interpreter
    packages: tuple[str, ...]


def cache_directory() -> Path:
    """The directory of the environments, by digest."""
    return cache_home() / "plimsoll" / "environments"


def environment_place(step: Step[MakeEnvironment], directory: Path) -> Path:
    """The directory of a step's environment, for the application in `directory`."""
    return place_of(step.work.requirements, step.ingredients[0].digest, directory)


def place_of(requirements: str, digest: str, directory: Path) -> Path:
    """The directory of the environment of a requirements file and its digest.

    An environment with editable packages reads them where they are, so that it belongs to their paths.
    """
    from plimsoll.application.requirements import read_requirements

    try:
        packages = read_requirements(directory, requirements).packages
    except PlimsollError:
        # The installer says what is wrong with the file.
        packages = ()
    editable = sorted(os.path.realpath(package.path) for package in packages if package.editable)
    if editable:
        digest = hashlib.sha256("\0".join([digest, *editable]).encode(errors="surrogateescape")).hexdigest()
    return cache_directory() / digest[:32]


def python_of(place: Path) -> Path:
    """The interpreter of an environment."""
    return place / "bin" / "python"


def mark_complete(place: Path) -> None:
    """Record what was installed. Raises TargetError for an interpreter that does not start."""
    version = _answer(place)
    if version is None:
        hint = "run it to see why, or start plimsoll with another python"
        raise TargetError("the interpreter of the environment does not start", where=str(python_of(place)), hint=hint)
    # A record that does not fit its files from the first can say nothing later.
    packages = tuple(name for name, package in sorted(_packages(place).items()) if _has_its_files(package))
    marker = _Marker(version=version, interpreter=_interpreter(place), packages=packages)
    replace_file(place / COMPLETE, msgspec.json.encode(marker))


def is_complete(place: Path) -> bool:
    """Whether the environment is what was installed: its interpreter starts, and no file of a package is missing."""
    try:
        marker = msgspec.json.decode((place / COMPLETE).read_bytes(), type=_Marker)
        if _interpreter(place) != marker.interpreter and _answer(place) != marker.version:
            return False
        installed = _packages(place)
        return all(name in installed and _has_its_files(installed[name]) for name in marker.packages)
    except (OSError, ValueError):
        # Without a readable marker nobody knows what is in the directory.
        return False


def _interpreter(place: Path) -> _Interpreter:
    real = python_of(place).resolve(strict=True)
    state = real.stat()
    return _Interpreter(str(real), state.st_size, state.st_mtime_ns)


def _answer(place: Path) -> str | None:
    """The version of an environment's interpreter; None when it does not start, or uses the packages of another."""
    import subprocess

    try:
        ended = subprocess.run(
            [str(python_of(place)), "-I", "-c", _ASK], capture_output=True, text=True, check=False, timeout=ANSWER_LIMIT
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version, _, prefix = ended.stdout.strip().partition(" ")
    return version if ended.returncode == 0 and os.path.realpath(prefix) == os.path.realpath(place) else None


def _packages(place: Path) -> dict[str, Path]:
    return {package.name: package for package in place.glob("lib/*/site-packages/*.dist-info")}


def _has_its_files(package: Path) -> bool:
    """Whether the files in a package's RECORD exist in their size."""
    import csv

    try:
        with (package / "RECORD").open(encoding="utf-8", newline="") as record:
            for name, _, size in csv.reader(record):
                if not name.endswith(_MADE_LATER):
                    found = (package.parent / name).stat()
                    if size and found.st_size != int(size):
                        return False
    except (OSError, ValueError, csv.Error):
        return False
    return True
