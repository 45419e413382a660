"""Builds components into a cache outside the tree, each once per pins, sources and toolchain."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from lab.build.components import Component
from lab.build.folders import cache_folder
from lab.build.go import go_program
from lab.errors import LabError

BUILD_LIMIT = 3600.0
Say = Callable[[str], None]


@cache
def _toolchain() -> str:
    return subprocess.run([go_program(), "version"], check=True, capture_output=True, text=True, timeout=30).stdout


@cache
def key(component: Component) -> str:
    """Digest of everything that determines the component's bytes: toolchain, pins, local sources, flags."""
    digest = hashlib.sha256()
    files = [component.folder / "go.mod", component.folder / "go.sum"]
    if component.local:
        files += sorted(component.folder.rglob("*.go"))
    if component.workspace:
        files += component.workspace.pins()
    for part in (_toolchain(), repr(_flags(component)), repr(sorted(component.programs.items()))):
        digest.update(part.encode() + b"\0")
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def folder_of(component: Component) -> Path:
    """The cache folder of the component's programs."""
    return cache_folder() / "programs" / f"{component.name}-{key(component)}"


def is_built(component: Component) -> bool:
    """Whether the cache has every program of `component` for its current key."""
    return all((folder_of(component) / name).is_file() for name in component.programs)


def ensure(component: Component, say: Say = print) -> Path:
    """Builds the component if it is missing. Returns the folder of its programs. Raises LabError with Go's message."""
    folder = folder_of(component)
    if is_built(component):
        return folder
    with _build_lock(component.name, say):
        if not is_built(component):
            folder.parent.mkdir(parents=True, exist_ok=True)
            workplace = Path(tempfile.mkdtemp(prefix=f".{component.name}-", dir=folder.parent))
            try:
                _build(component, workplace, say)
                shutil.rmtree(folder, ignore_errors=True)
                workplace.rename(folder)
            finally:
                shutil.rmtree(workplace, ignore_errors=True)
            _remove_older(component, folder)
    return folder


def _build(component: Component, workplace: Path, say: Say) -> None:
    for number, (name, package) in enumerate(component.programs.items(), start=1):
        began = time.monotonic()
        say(f"building {name} of {component.name} {component.version} ({number} of {len(component.programs)})")
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOFLAGS": "-mod=readonly",
            "GOTOOLCHAIN": "auto",
            "GOWORK": str(component.workspace.file) if component.workspace else "off",
        }
        command = [go_program(), "build", *_flags(component), "-o", str(workplace / name), package]
        try:
            done = subprocess.run(
                command,
                cwd=component.folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=BUILD_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LabError(f"the build of {name} exceeded {BUILD_LIMIT / 60:.0f} minutes: go build {package}") from None
        if done.returncode != 0:
            raise LabError(f"go build {package} failed in {component.folder}:\n{done.stderr.strip()[-3000:]}")
        say(f"built {name} in {time.monotonic() - began:.0f} s")


def _flags(component: Component) -> list[str]:
    major, minor = [*component.version.lstrip("v").split("."), "", ""][:2]
    values = [value.format(version=component.version, major=major, minor=minor) for value in component.linker_values]
    linker = " ".join(["-s", "-w", *(f"-X {value}" for value in values)])
    tags = [f"-tags={','.join(component.tags)}"] if component.tags else []
    return ["-trimpath", f"-ldflags={linker}", *tags]


def _remove_older(component: Component, kept: Path) -> None:
    for folder in kept.parent.glob(f"{component.name}-????????????????"):
        if folder != kept:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _build_lock(name: str, say: Say) -> Iterator[None]:
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is building {name}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
