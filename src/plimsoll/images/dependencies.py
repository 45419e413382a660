"""The layer of an application's requirements: packages for the Python and architecture of the cluster.

The packages are in `/opt/plimsoll/dependencies`, which must be on PYTHONPATH. Their commands, for example `torchrun`,
are in its `bin`, which must be on PATH.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from plimsoll.application.requirements import read_requirements
from plimsoll.errors import TargetError
from plimsoll.images.base import BaseImage, own_architecture
from plimsoll.images.bytecode import add_bytecode
from plimsoll.images.layers import Layer, LayerEntry, LayerStore

SITE_PACKAGES = "opt/plimsoll/dependencies"
INSTALL_LIMIT = 1800.0
"""Seconds: the largest frameworks have gigabytes."""
_UV = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
_PIP = {"amd64": "x86_64", "arm64": "aarch64"}
# uv accepts wheels for older C libraries by itself; pip needs each platform by name.
_PIP_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
_EXCLUDED = frozenset({"__pycache__", ".lock"})
_INSTALL_METADATA = frozenset({"uv_cache.json", "direct_url.json", "INSTALLER", "REQUESTED"})
"""Files that record the installer, the source and the reason of an installation."""
_SCRIPT = re.compile(rb"\A#!(?:[^\n]*python[^\n]*\n|/bin/sh\n'''exec' [^\n]*\n' '''\n)")
_LINE_OF_SCRIPT = re.compile(r"^((?:\.\./)*bin/[^,]+),[^,]*,[^,]*$", re.MULTILINE)


class PythonTarget(Struct, frozen=True, kw_only=True):
    """The Python to resolve packages for: a minor version such as `3.11`, and an architecture such as `amd64`."""

    version: str
    architecture: str

    @classmethod
    def of(cls, base: BaseImage) -> PythonTarget:
        """The Python of a base image that sets PYTHON_VERSION, as Python's official images do; else this machine's."""
        parts = base.variable("PYTHON_VERSION").split(".")
        version = ".".join(parts[:2]) if len(parts) >= 2 else running_python_version()
        return cls(version=version, architecture=str(base.config.get("architecture") or own_architecture()))

    @property
    def is_own(self) -> bool:
        """Whether it has the version and architecture of the running Python, on Linux."""
        return sys.platform == "linux" and (self.version, self.architecture) == (
            running_python_version(),
            own_architecture(),
        )


class Installer(Struct, frozen=True, kw_only=True):
    """How packages are installed: where relative paths start (None: here), and what the requirements ask of the tool.

    `refresh` has uv build local packages again, which it else takes from its cache.
    """

    directory: Path | None = None
    refresh: bool = False
    only_pip: bool = False


def running_python_version() -> str:
    """The minor version of the running Python, for example `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def dependencies_layer(
    store: LayerStore, requirements: Path, digest: str, python: PythonTarget, directory: Path | None = None
) -> Layer:
    """Find or build the layer of a requirements file. `digest` is of the file and of everything that it names.

    `directory` is where relative paths of packages start; None means the directory of the file.

    Pinned requirements give the same layer everywhere. Others are resolved once, and the store keeps the result. Raises
    TargetError with the last output of the installer, FileError for a line that names no file.
    """
    key = hashlib.sha256(f"{digest} {python.version} {python.architecture}".encode()).hexdigest()
    found = store.find(f"dependencies-{key}")
    if found:
        return found
    directory = directory or requirements.parent
    read = read_requirements(directory, os.path.relpath(requirements, directory))
    installer = Installer(directory=directory, refresh=bool(read.packages), only_pip=read.only_pip)
    arguments = ["-r", str(requirements.absolute())]
    return _build_layer(store, f"dependencies-{key}", arguments, python, installer=installer)


def packages_layer(
    store: LayerStore, packages: Sequence[str], python: PythonTarget, place: str = SITE_PACKAGES
) -> Layer:
    """Find or build the layer of pinned packages, such as `numpy==2.2.0`, without their dependencies."""
    key = hashlib.sha256(
        "\n".join([*sorted(packages), python.version, python.architecture, place]).encode()
    ).hexdigest()
    arguments = ["--no-deps", *sorted(packages)]
    return store.find(f"packages-{key}") or _build_layer(store, f"packages-{key}", arguments, python, place)


def _build_layer(
    store: LayerStore,
    key: str,
    arguments: Sequence[str],
    python: PythonTarget,
    place: str = SITE_PACKAGES,
    installer: Installer = Installer(),  # noqa: B008 - immutable
) -> Layer:
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        # Install on the same disk as the store, so that the installer can link files from its cache.
        with tempfile.TemporaryDirectory(prefix=".installing-", dir=store.root) as name:
            install(Path(name) / "target", arguments, python, installer)
            entries = site_packages(Path(name) / "target", place)
            return store.add(key, add_bytecode(entries) if python.is_own else entries)
    except OSError as error:
        hint = "free space on the disk, or set XDG_CACHE_HOME to a writable directory"
        raise TargetError(f"cannot store the packages: {error.strerror}", where=str(store.root), hint=hint) from error


def install(
    target: Path,
    arguments: Sequence[str],
    python: PythonTarget,
    installer: Installer = Installer(),  # noqa: B008 - immutable
) -> None:
    """Install packages into a folder, with uv if it is found, else with pip. Raises TargetError with their output."""
    if not python.is_own and python.architecture not in _UV:
        hint = f"packages can be installed for linux on {' and '.join(_UV)}; for others set `spec.environment.image`"
        raise TargetError(f"cannot install packages for {python.architecture}", where=" ".join(arguments), hint=hint)
    uv = None if installer.only_pip else shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        command = [uv, "pip", "install", "--quiet", "--target", str(target), "--python", sys.executable]
        command += ["--refresh"] if installer.refresh else []
        if not python.is_own:
            command += ["--python-version", python.version, "--python-platform", _UV[python.architecture]]
            command += ["--only-binary", ":all:"]
    else:
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-compile"]
        command += ["--target", str(target)]
        if not python.is_own:
            command += ["--python-version", python.version, "--only-binary", ":all:"]
            for name in _PIP_PLATFORMS:
                command += ["--platform", f"{name}_{_PIP[python.architecture]}"]
    try:
        ended = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_LIMIT,
            cwd=installer.directory,
        )
    except subprocess.TimeoutExpired:
        message = f"installing the packages took more than {INSTALL_LIMIT:g} s"
        raise TargetError(message, where=" ".join(arguments)) from None
    if ended.returncode != 0:
        output = " ".join(ended.stderr.split())[-600:]
        hint = f"packages are resolved for Python {python.version} on linux/{python.architecture}"
        raise TargetError(f"cannot install the packages: {output}", where=" ".join(arguments), hint=hint)
    # Empty requirements give an empty layer.
    target.mkdir(exist_ok=True)


def site_packages(root: Path, place: str = SITE_PACKAGES) -> Iterator[LayerEntry]:
    """Yield the files of installed packages as entries below `place`, without parts that differ between installs."""
    yield LayerEntry(path=place, directory=True)
    for parent, directories, files in os.walk(root):
        directories[:] = sorted(set(directories) - _EXCLUDED)
        for name in sorted(set(files) - _EXCLUDED - _INSTALL_METADATA):
            file = Path(parent, name)
            inner = file.relative_to(root)
            path = f"{place}/{inner}"
            if name.startswith("__editable__"):
                hint = "require a wheel instead, or list the package's files under `code`"
                raise TargetError(
                    f"an editable package cannot be put into an image: {name}", where=str(inner), hint=hint
                )
            if file.is_symlink():
                yield LayerEntry(path=path, link=str(file.readlink()))
            elif name == "RECORD" and parent.endswith(".dist-info"):
                yield LayerEntry(path=path, content=_portable_record(file))
            elif inner.parts[0] == "bin" and (script := _portable_script(file)) is not None:
                yield LayerEntry(path=path, content=script, executable=True)
            elif file.suffix != ".pyc":
                yield LayerEntry(path=path, source=file, executable=os.access(file, os.X_OK))


def _portable_script(file: Path) -> bytes | None:
    """A command's script, with a first line that finds the Python of the image; None when `file` is not a script."""
    with file.open("rb") as start:
        if start.read(2) != b"#!":
            return None
    content = file.read_bytes()
    return _SCRIPT.sub(b"#!/usr/bin/env python3\n", content, count=1)


def _portable_record(file: Path) -> bytes:
    """A package's RECORD, without excluded files and without digests of scripts, whose first line has changed."""
    lines = file.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if Path(line.partition(",")[0]).name not in _INSTALL_METADATA]
    kept = [line for line in kept if not line.partition(",")[0].endswith(".pyc")]
    return (_LINE_OF_SCRIPT.sub(r"\1,,", "\n".join(sorted(kept))) + "\n").encode()
