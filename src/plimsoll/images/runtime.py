"""The layer that lets a pod run our side: this package and what its server, puller and fetcher need.

It lies in `/opt/plimsoll/runtime`. Packages for the running Python are taken as they are installed here, so that a pod
runs what was tested here and no network is needed; for another Python the same versions are fetched.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from plimsoll.errors import MissingExtra
from plimsoll.images.bytecode import with_bytecode
from plimsoll.images.dependencies import Python, packages_layer, site_packages
from plimsoll.images.layers import Entry, Layer, LayerStore

PLACE = "opt/plimsoll/runtime"
NEEDED = ("msgspec", "PyYAML", "httpx2", "securesystemslib[crypto]")
"""What every part of the runtime needs: the command line, the report and the client of Kubernetes stay outside."""
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?")


def runtime_layers(store: LayerStore, python: Python, extras: Sequence[str] = ("serve",)) -> list[Layer]:
    """Layers of our dependencies and of ourselves, in this order: the first, large one changes seldom.

    `extras` are those of this package. Raises MissingExtra for one that is not installed here.
    """
    packages = needed(extras)
    if python.is_own:
        dependencies = _as_installed(store, packages, python)
    else:
        pins = [f"{name}=={found.version}" for name, found in packages.items()]
        dependencies = packages_layer(store, pins, python, PLACE)
    return [dependencies, _ourselves(store, python)]


def needed(extras: Sequence[str]) -> dict[str, Distribution]:
    """Installed packages by name that the runtime needs with these extras, directly or not."""
    found: dict[str, Distribution] = {}
    waiting = [(name, "") for name in NEEDED]
    for extra in extras:
        wanted = [line for line in distribution("plimsoll").requires or [] if _extra(line) == extra]
        if not wanted or any(_distribution(_name(line)) is None for line in wanted):
            raise MissingExtra(extra, "an image with the runtime")
        waiting += [(line, extra) for line in wanted]
    seen: set[tuple[str, str]] = set()
    while waiting:
        line, _ = waiting.pop()
        package = _distribution(_name(line))
        if package is None:
            # Only for another platform or Python.
            continue
        found[_plain(package.metadata["Name"])] = package
        for wanted_extra in ["", *_extras(line)]:
            if (package.metadata["Name"], wanted_extra) not in seen:
                seen.add((package.metadata["Name"], wanted_extra))
                waiting += [(each, "") for each in package.requires or [] if _extra(each) == wanted_extra]
    return dict(sorted(found.items()))


def _as_installed(store: LayerStore, packages: dict[str, Distribution], python: Python) -> Layer:
    versions = [f"{name}=={found.version}" for name, found in packages.items()]
    key = hashlib.sha256("\n".join([*versions, python.version, python.architecture]).encode()).hexdigest()
    return store.find(f"installed-{key}") or store.add(f"installed-{key}", with_bytecode(_installed(packages.values())))


def _installed(packages: Iterable[Distribution]) -> Iterator[Entry]:
    """The files that packages say they have, without their commands: the runtime is started by `python -m`."""
    for package in packages:
        for file in package.files or []:
            path = Path(str(package.locate_file(file)))
            if ".." in file.parts or file.suffix == ".pyc" or not path.is_file():
                continue
            if file.name in {"RECORD", "INSTALLER", "REQUESTED", "uv_cache.json", "direct_url.json"}:
                continue
            yield Entry(path=f"{PLACE}/{file}", source=path, executable=os.access(path, os.X_OK))


def _ourselves(store: LayerStore, python: Python) -> Layer:
    import plimsoll

    root = Path(plimsoll.__file__).parent
    entries = [entry for entry in site_packages(root, f"{PLACE}/plimsoll") if not entry.path.endswith(".pyc")]
    about = hashlib.sha256()
    for entry in entries:
        content = entry.source.read_bytes() if entry.source else entry.content
        about.update(f"{entry.path}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    key = f"plimsoll-{about.hexdigest()}-{python.version}"
    return store.find(key) or store.add(key, with_bytecode(entries) if python.is_own else entries)


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _name(requirement: str) -> str:
    matched = _REQUIREMENT.match(requirement)
    return matched[1] if matched else requirement


def _extras(requirement: str) -> list[str]:
    matched = _REQUIREMENT.match(requirement)
    return [extra.strip() for extra in (matched[2] or "").split(",") if extra.strip()] if matched else []


def _extra(requirement: str) -> str:
    """The extra that a requirement is for, empty for none."""
    matched = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", requirement)
    return matched[1] if matched else ""


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
