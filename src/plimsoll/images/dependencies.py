"""The layer of an application's requirements: its site-packages for the cluster's Python and machine.

They lie in `/opt/plimsoll/dependencies`, which belongs on PYTHONPATH; their commands (`torchrun`) in its `bin`, which
belongs on PATH.
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

from plimsoll.errors import TargetError
from plimsoll.images.base import Base, own_architecture
from plimsoll.images.bytecode import with_bytecode
from plimsoll.images.layers import Entry, Layer, LayerStore

PLACE = "opt/plimsoll/dependencies"
INSTALL_LIMIT = 1800.0
"""Seconds: the largest frameworks are gigabytes."""
_UV = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
_PIP = {"amd64": "x86_64", "arm64": "aarch64"}
# uv knows that a newer C library runs what was built for an older one; pip wants each named.
_PIP_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
_LEFT_OUT = frozenset({"__pycache__", ".lock"})
_OF_THIS_MACHINE = frozenset({"uv_cache.json", "direct_url.json", "INSTALLER", "REQUESTED"})
"""What says by what, whence and on whose wish a package was installed."""
_SCRIPT = re.compile(rb"\A#!(?:[^\n]*python[^\n]*\n|/bin/sh\n'''exec' [^\n]*\n' '''\n)")
_LINE_OF_SCRIPT = re.compile(r"^((?:\.\./)*bin/[^,]+),[^,]*,[^,]*$", re.MULTILINE)


class Python(Struct, frozen=True, kw_only=True):
    """What packages are resolved for: a minor version such as `3.11`, and an architecture as images call it."""

    version: str
    architecture: str

    @classmethod
    def of(cls, base: Base) -> Python:
        """The base's, where it says one as Python's own images do; else this machine's."""
        said = base.variable("PYTHON_VERSION").split(".")
        version = ".".join(said[:2]) if len(said) >= 2 else own_version()
        return cls(version=version, architecture=str(base.config.get("architecture") or own_architecture()))

    @property
    def is_own(self) -> bool:
        """Whether packages for it are packages for the running Python."""
        return sys.platform == "linux" and (self.version, self.architecture) == (own_version(), own_architecture())


def own_version() -> str:
    """The running Python's minor version."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def dependencies_layer(store: LayerStore, requirements: Path, digest: str, python: Python) -> Layer:
    """The layer of a requirements file, found by `digest` (of what it and the files that it includes say) or made.

    Pinned requirements give the same layer everywhere; others are resolved once and then kept in the store. Raises
    TargetError with the installer's last words.
    """
    key = hashlib.sha256(f"{digest} {python.version} {python.architecture}".encode()).hexdigest()
    arguments = ["-r", str(requirements.absolute())]
    return store.find(f"dependencies-{key}") or _made(store, f"dependencies-{key}", arguments, python)


def packages_layer(store: LayerStore, packages: Sequence[str], python: Python, place: str = PLACE) -> Layer:
    """The layer of packages that are named with their versions, such as `numpy==2.2.0`, and nothing that they need."""
    key = hashlib.sha256(
        "\n".join([*sorted(packages), python.version, python.architecture, place]).encode()
    ).hexdigest()
    arguments = ["--no-deps", *sorted(packages)]
    return store.find(f"packages-{key}") or _made(store, f"packages-{key}", arguments, python, place)


def _made(store: LayerStore, key: str, arguments: Sequence[str], python: Python, place: str = PLACE) -> Layer:
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        # Beside the store, so that the installer can link what it has in its cache.
        with tempfile.TemporaryDirectory(prefix=".installing-", dir=store.root) as name:
            install(Path(name) / "target", arguments, python)
            entries = site_packages(Path(name) / "target", place)
            return store.add(key, with_bytecode(entries) if python.is_own else entries)
    except OSError as error:
        hint = "free some space on the disk, or set XDG_CACHE_HOME to a directory that can be written"
        raise TargetError(f"packages cannot be kept: {error.strerror}", where=str(store.root), hint=hint) from error


def install(target: Path, arguments: Sequence[str], python: Python) -> None:
    """Install into a folder, by uv where it is found and else by pip. Raises TargetError with its last words."""
    if not python.is_own and python.architecture not in _UV:
        hint = f"packages can be fetched for linux on {' and '.join(_UV)}; for others give an image of your own"
        raise TargetError(f"no packages can be fetched for {python.architecture}", where=" ".join(arguments), hint=hint)
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        command = [uv, "pip", "install", "--quiet", "--target", str(target), "--python", sys.executable]
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
            [*command, *arguments], capture_output=True, text=True, check=False, timeout=INSTALL_LIMIT
        )
    except subprocess.TimeoutExpired:
        message = f"the packages were not installed within {INSTALL_LIMIT:g} s"
        raise TargetError(message, where=" ".join(arguments)) from None
    if ended.returncode != 0:
        words = " ".join(ended.stderr.split())[-600:]
        hint = f"packages are resolved for Python {python.version} on linux/{python.architecture}"
        raise TargetError(f"the packages cannot be installed: {words}", where=" ".join(arguments), hint=hint)
    # Requirements of nothing give an empty layer and not none.
    target.mkdir(exist_ok=True)


def site_packages(root: Path, place: str = PLACE) -> Iterator[Entry]:
    """Files of installed packages as entries below `place`, without what differs between machines and installs."""
    yield Entry(path=place, directory=True)
    for parent, directories, files in os.walk(root):
        directories[:] = sorted(set(directories) - _LEFT_OUT)
        for name in sorted(set(files) - _LEFT_OUT - _OF_THIS_MACHINE):
            file = Path(parent, name)
            inner = file.relative_to(root)
            path = f"{place}/{inner}"
            if name.startswith("__editable__"):
                hint = "name a wheel, or list the package's files under `code`"
                raise TargetError(f"an editable package cannot travel: {name}", where=str(inner), hint=hint)
            if file.is_symlink():
                yield Entry(path=path, link=str(file.readlink()))
            elif name == "RECORD" and parent.endswith(".dist-info"):
                yield Entry(path=path, content=_record(file))
            elif inner.parts[0] == "bin" and (script := _script(file)) is not None:
                yield Entry(path=path, content=script, executable=True)
            elif file.suffix != ".pyc":
                yield Entry(path=path, source=file, executable=os.access(file, os.X_OK))


def _script(file: Path) -> bytes | None:
    """A command's script with the image's Python for this machine's; None for what is none."""
    with file.open("rb") as start:
        if start.read(2) != b"#!":
            return None
    content = file.read_bytes()
    return _SCRIPT.sub(b"#!/usr/bin/env python3\n", content, count=1)


def _record(file: Path) -> bytes:
    """A package's list of files, without those left out and without digests of scripts, whose first line is ours."""
    lines = file.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if Path(line.partition(",")[0]).name not in _OF_THIS_MACHINE]
    kept = [line for line in kept if not line.partition(",")[0].endswith(".pyc")]
    return (_LINE_OF_SCRIPT.sub(r"\1,,", "\n".join(sorted(kept))) + "\n").encode()
