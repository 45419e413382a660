"""The digest of the environment of an application's commands: its requirements, or the caller's own python."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.application.digests import Digests, files_below, is_ignored
from plimsoll.application.loading import ApplicationFile
from plimsoll.documents.places import display_path
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.application.requirements import LocalPackage

_MADE_BY_INSTALLERS = (".egg-info", ".dist-info", ".eggs")
"""Endings of directories that a build leaves in the directory of a package."""
_CONSTRAINTS = ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "UV_CONSTRAINT", "UV_BUILD_CONSTRAINT", "UV_OVERRIDE")
_CACHE_TAG = "CACHEDIR.TAG"
"""The file that marks a directory of made files (https://bford.info/cachedir/), such as Cargo's `target`."""


def environment_digest(file: ApplicationFile, digests: Digests) -> tuple[str, str]:
    """The name and the digest of the environment. Raises FileError for a file that cannot be read."""
    requirements = file.application.environment.requirements
    if requirements is None:
        return "python", _python_digest()
    from plimsoll.application.requirements import read_requirements

    read = read_requirements(file.directory, requirements)
    about = [f"{sys.implementation.name} {platform.python_version()}", platform.machine()]
    try:
        about += [digests.of(path) for path in read.files]
        about += [digests.of(path) for path in _constraints(file.directory)]
        about += [f"package {_package_digest(package, file.path, digests)}" for package in read.packages]
    except OSError as error:
        raise FileError(
            f"{display_path(Path(error.filename or requirements))} cannot be read: {error.strerror}",
            where=file.where("spec", "environment", "requirements"),
        ) from None
    about += [f"line {value}" for value in read.values]
    return requirements, hashlib.sha256("\n".join(about).encode(errors="surrogateescape")).hexdigest()


def _constraints(directory: Path) -> list[Path]:
    """Files that variables give to the installers, which start in `directory`."""
    named = " ".join(os.environ.get(name, "") for name in _CONSTRAINTS).split()
    return [path for path in (directory / name for name in named) if path.is_file()]


def _package_digest(package: LocalPackage, application: Path, digests: Digests) -> str:
    """The digest of what an installer reads of a local package: neither what a build has left, nor our own file."""
    root, own = package.path, application.resolve()
    if not root.is_dir():
        return digests.of(root)

    def is_made(path: Path) -> bool:
        if is_ignored(path) or path.name.endswith(_MADE_BY_INSTALLERS):
            return True
        if path == root / "build":
            return not (path / "__init__.py").exists()
        return (path / _CACHE_TAG).exists() or (path.suffix == application.suffix and path.resolve() == own)

    return digests.of_files(root, files_below(root, is_made))


def _python_digest() -> str:
    """A digest of the `python` on PATH and of the names and versions of its installed packages."""
    found = shutil.which("python") or sys.executable
    packages = sorted(
        entry.name
        for directory in package_directories()
        for entry in directory.iterdir()
        if entry.name.endswith((".dist-info", ".egg-info"))
    )
    real = os.path.realpath(found)
    return hashlib.sha256("\n".join([real, str(Path(real).stat().st_size), *packages]).encode()).hexdigest()


def package_directories() -> list[Path]:
    """The directories with the packages of the `python` on PATH, with which commands run without requirements."""
    prefix = Path(shutil.which("python") or sys.executable).parent.parent
    parents = (prefix / "lib", prefix / "local" / "lib")
    return [directory for parent in parents for directory in parent.glob("python3*/*-packages")]
