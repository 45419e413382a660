"""A prepared containerd disk with a set of images. Every new node gets it as hard links.

Importing the same images into every node would make adding nodes slow. Nothing writes to blobs and unpacked layers
again (overlayfs copies a file before it writes), so nodes share them. Each node has its own copy of the databases.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from lab.build.folders import cache_folder
from lab.commands import run, succeeds
from lab.errors import LabError
from lab.files import write

START_LIMIT = 20.0
_KEPT = 8
Say = Callable[[str], None]


def ensure(files: Sequence[Path], say: Say) -> Path:
    """The disk with exactly these archives' images, built on the existing disk with the most of them and no others."""
    wanted = {file.name for file in files}
    target = _folder() / hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()[:16]
    if (target / "images").exists():
        os.utime(target)
        return target
    _folder().mkdir(parents=True, exist_ok=True)
    base = max(_subsets(wanted), key=lambda each: len(_archive_names(each)), default=None)
    missing = [file for file in files if base is None or file.name not in _archive_names(base)]
    say(f"preparing a node disk with {len(files)} images, {len(missing)} of them new")
    with tempfile.TemporaryDirectory(dir=_folder(), prefix=".new-") as workplace:
        disk = Path(workplace) / "disk"
        disk.mkdir()
        if base is not None:
            clone(base, disk / "containerd")
        _import(missing, disk / "containerd", Path(workplace))
        write(disk / "images", "".join(f"{name}\n" for name in sorted(wanted)))
        shutil.rmtree(target, ignore_errors=True)
        disk.rename(target)
    _drop_oldest()
    return target


def clone(template: Path, target: Path) -> None:
    """Fills `target` with the template: copies databases, and links other files where the file system allows it."""
    source = template / "containerd"
    if not succeeds("cp", "--archive", "--link", "--no-target-directory", source, target):
        shutil.rmtree(target, ignore_errors=True)
        run("cp", "--archive", "--no-target-directory", source, target)
    for database in target.rglob("*.db"):
        fresh = database.with_suffix(".fresh")
        shutil.copyfile(database, fresh)
        fresh.rename(database)


def archive_names(template: Path) -> list[str]:
    """The file names of the archives whose images the template has."""
    return sorted(_archive_names(template))


def _folder() -> Path:
    return cache_folder() / "disks"


def _archive_names(template: Path) -> set[str]:
    try:
        return set((template / "images").read_text().split())
    except FileNotFoundError:
        return set()


def _subsets(wanted: set[str]) -> list[Path]:
    return [each for each in _folder().glob("[0-9a-f]*") if _archive_names(each) and _archive_names(each) <= wanted]


def _import(files: Sequence[Path], root: Path, workplace: Path) -> None:
    """Imports archives with a separate containerd, in separate mounts, that runs only for this."""
    programs = folder_of(BY_NAME["containerd"])
    socket = workplace / "s"
    settings = f"""\
version = 3
root = "{root}"
state = "{workplace / "state"}"
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]
[grpc]
address = "{socket}"
"""
    write(workplace / "config.toml", settings)
    command = ["unshare", "--mount", "--propagation", "private", str(programs / "containerd")]
    with (workplace / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [*command, f"--config={workplace / 'config.toml'}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        end = time.monotonic() + START_LIMIT
        while not succeeds(programs / "ctr", f"--address={socket}", "version", limit=10):
            if time.monotonic() > end or daemon.poll() is not None:
                raise LabError(
                    f"the containerd that imports images does not start: {(workplace / 'log').read_text()[-500:]}"
                )
            time.sleep(0.05)
        for file in files:
            options = (f"--address={socket}", "--namespace=k8s.io")
            run(programs / "ctr", *options, "images", "import", "--local", file, limit=300)
    finally:
        daemon.terminate()
        try:
            daemon.wait(START_LIMIT)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _drop_oldest() -> None:
    by_use = sorted(_folder().glob("[0-9a-f]*"), key=lambda each: each.stat().st_mtime, reverse=True)
    for old in by_use[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
