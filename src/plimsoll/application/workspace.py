"""What planning must know of the files and addresses that an application names: their content digests."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from plimsoll.application.code import code_files, matching
from plimsoll.application.digests import Digests
from plimsoll.application.loading import ApplicationFile
from plimsoll.application.model import Dataset
from plimsoll.application.places import shown
from plimsoll.errors import FileError


class Workspace(Struct, frozen=True, kw_only=True):
    """Content digests of what the application file refers to.

    `sources`: dataset name to digest of its source. `code`: step name to (file, digest) pairs. `environment`: name and
    digest of what the commands run in.
    """

    sources: Mapping[str, str] = {}
    code: Mapping[str, tuple[tuple[str, str], ...]] = {}
    environment: tuple[str, str] = ("python", "")


def gather(file: ApplicationFile, memory: Path) -> Workspace:
    """Look at everything that a checked file names. `memory` is where digests are remembered.

    Raises FileError for a path that cannot be read, TargetError for an address that does not answer.
    """
    digests = Digests(memory)
    spec = file.application.spec
    sources = {name: _source(file, name, part, digests) for name, part in spec.datasets.items() if part.source}
    commands: dict[str, tuple[str | None, tuple[str, ...], tuple[str, ...]]] = {
        f"run/{name}": (part.run, part.code, ("datasets", name)) for name, part in spec.datasets.items() if part.run
    }
    commands |= {
        f"train/{name}": (model.train.run, model.train.code, ("models", name, "train"))
        for name, model in spec.models.items()
    }
    code = {name: _code(file, digests, *about) for name, about in commands.items()}
    environment = _environment(file, digests) if commands else ("python", "")
    digests.remember()
    return Workspace(sources=sources, code=code, environment=environment)


def _source(file: ApplicationFile, name: str, part: Dataset, digests: Digests) -> str:
    source = part.source or ""
    if "://" not in source:
        return _digest(file, digests, file.directory / source, "spec", "datasets", name, "source")
    if part.sha256 is not None:
        # The content is pinned: no need to ask the network what it is.
        return part.sha256
    from plimsoll.application.addresses import identity

    return hashlib.sha256(f"{source}\0{identity(source)}".encode()).hexdigest()


def _code(
    file: ApplicationFile, digests: Digests, command: str | None, patterns: Iterable[str], at: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    paths = dict.fromkeys(code_files(command or "", file.directory))
    for number, pattern in enumerate(patterns):
        matches = matching(pattern, file.directory)
        if not matches:
            where = file.where("spec", *at, "code", number)
            raise FileError(f"'{pattern}' matches no file", where=where, hint="paths are relative to the file")
        paths |= dict.fromkeys(matches)
    named = (
        (os.path.relpath(path, file.directory), _digest(file, digests, path, "spec", *at, "run")) for path in paths
    )
    return tuple(sorted(named))


def _digest(file: ApplicationFile, digests: Digests, path: Path, *at: str | int) -> str:
    try:
        return digests.of(path)
    except OSError as error:
        raise FileError(f"{shown(path)} cannot be read: {error.strerror}", where=file.where(*at)) from None


def _environment(file: ApplicationFile, digests: Digests) -> tuple[str, str]:
    requirements = file.application.spec.environment.requirements
    if requirements is None:
        return "python", _own_python()
    content = [
        _digest(file, digests, path, "spec", "environment", "requirements") for path in _included(file, requirements)
    ]
    about = [f"{sys.implementation.name} {platform.python_version()}", platform.machine(), *content]
    return requirements, hashlib.sha256("\n".join(about).encode()).hexdigest()


def _included(file: ApplicationFile, requirements: str) -> Iterator[Path]:
    """A requirements file and those that it includes with -r or -c."""
    waiting, seen = [file.directory / requirements], set()
    while waiting:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        yield path
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
            option, _, value = line.strip().partition(" ")
            if option in {"-r", "-c", "--requirement", "--constraint"}:
                waiting.append(path.parent / value.strip())


def _own_python() -> str:
    """The python that commands would find and what is installed in it, by names and versions."""
    found = shutil.which("python") or sys.executable
    prefix = Path(found).parent.parent
    packages = sorted(
        entry.name
        for parent in (prefix / "lib", prefix / "local" / "lib")
        for directory in parent.glob("python3*/*-packages")
        for entry in directory.iterdir()
        if entry.name.endswith((".dist-info", ".egg-info"))
    )
    real = os.path.realpath(found)
    return hashlib.sha256("\n".join([real, str(Path(real).stat().st_size), *packages]).encode()).hexdigest()
