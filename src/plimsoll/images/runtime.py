"""The layers of our runtime in a pod: this package, and the dependencies of its server and of `pull` and `fetch`.

The files are in `/opt/plimsoll/runtime`. For the running Python, installed packages are copied: a pod then runs the
tested files, and no network is needed. For another Python, the same versions are downloaded.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from plimsoll.errors import MissingExtra, TargetError
from plimsoll.images.bytecode import add_bytecode
from plimsoll.images.dependencies import PythonTarget, packages_layer, site_packages
from plimsoll.images.layers import Layer, LayerEntry, LayerStore

RUNTIME_DIRECTORY = "opt/plimsoll/runtime"
CORE_PACKAGES = ("msgspec", "PyYAML", "httpx2", "securesystemslib[crypto]")
"""Dependencies of every part of the runtime. The command line, the report and the Kubernetes client are left out."""
_ABOUT_INSTALLING = frozenset({"INSTALLER", "REQUESTED", "uv_cache.json", "direct_url.json"})
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?")


def runtime_layers(store: LayerStore, python: PythonTarget, extras: Sequence[str] = ("serve",)) -> list[Layer]:
    """The layer of our dependencies, then that of this package: the first is large and changes seldom.

    `extras` are extras of this package. Raises MissingExtra for one that is not installed here.
    """
    packages = required_packages(extras)
    if python.is_own:
        dependencies = _installed_layer(store, packages, python)
    else:
        pins = [f"{name}=={found.version}" for name, found in packages.items()]
        dependencies = packages_layer(store, pins, python, RUNTIME_DIRECTORY)
    return [dependencies, _plimsoll_layer(store, python)]


def runner_layers(store: LayerStore, python: PythonTarget, extras: Sequence[str] = ()) -> list[Layer]:
    """As `runtime_layers`, with the command line: what runs whole applications, and makes such layers itself.

    Raises MissingExtra for an extra that is not installed here, TargetError for the image of another Python.
    """
    if not python.is_own:
        text = f"the base image has Python {python.version} for {python.architecture}, this machine another"
        hint = "name a base image with this Python with --base, or print the schedule where Python is the base's"
        raise TargetError(text, where="--schedule", hint=hint)
    packages = required_packages(extras, command_line_packages())
    about = distribution("plimsoll")
    metadata = LayerEntry(
        path=f"{RUNTIME_DIRECTORY}/plimsoll-{about.version}.dist-info/METADATA",
        content=(about.read_text("METADATA") or "").encode(),
    )
    key = f"about-plimsoll-{hashlib.sha256(metadata.content).hexdigest()}"
    return [
        _installed_layer(store, packages, python, records=True),
        _plimsoll_layer(store, python),
        store.find(key) or store.add(key, [metadata]),
    ]


def command_line_packages() -> list[str]:
    """All dependencies of this package without its extras."""
    return [line for line in distribution("plimsoll").requires or [] if not _extra(line)]


def required_packages(extras: Sequence[str], core: Sequence[str] = CORE_PACKAGES) -> dict[str, Distribution]:
    """Installed packages by name: the direct and indirect dependencies of the runtime with these extras."""
    found: dict[str, Distribution] = {}
    waiting = [(name, "") for name in core]
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
            # The requirement is for another platform or Python.
            continue
        found[_normalized(package.metadata["Name"])] = package
        for wanted_extra in ["", *_extras(line)]:
            if (package.metadata["Name"], wanted_extra) not in seen:
                seen.add((package.metadata["Name"], wanted_extra))
                waiting += [(each, "") for each in package.requires or [] if _extra(each) == wanted_extra]
    return dict(sorted(found.items()))


def _installed_layer(
    store: LayerStore, packages: dict[str, Distribution], python: PythonTarget, *, records: bool = False
) -> Layer:
    versions = [f"{name}=={found.version}" for name, found in packages.items()]
    words = [*versions, python.version, python.architecture, *(["records"] if records else [])]
    key = hashlib.sha256("\n".join(words).encode()).hexdigest()
    return store.find(f"installed-{key}") or store.add(
        f"installed-{key}", add_bytecode(_installed_entries(packages.values(), records=records))
    )


def _installed_entries(packages: Iterable[Distribution], *, records: bool) -> Iterator[LayerEntry]:
    """Yield the files in the RECORD of each package, without commands: the runtime starts by `python -m`.

    With `records` these lists are there too, so that such a layer can be made of what is installed by it.
    """
    for package in packages:
        for file in package.files or []:
            path = Path(str(package.locate_file(file)))
            if ".." in file.parts or file.suffix == ".pyc" or not path.is_file():
                continue
            if file.name in _ABOUT_INSTALLING or (file.name == "RECORD" and not records):
                continue
            yield LayerEntry(path=f"{RUNTIME_DIRECTORY}/{file}", source=path, executable=os.access(path, os.X_OK))


def _plimsoll_layer(store: LayerStore, python: PythonTarget) -> Layer:
    import plimsoll

    root = Path(plimsoll.__file__).parent
    entries = [
        entry for entry in site_packages(root, f"{RUNTIME_DIRECTORY}/plimsoll") if not entry.path.endswith(".pyc")
    ]
    about = hashlib.sha256()
    for entry in entries:
        content = entry.source.read_bytes() if entry.source else entry.content
        about.update(f"{entry.path}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    key = f"plimsoll-{about.hexdigest()}-{python.version}"
    return store.find(key) or store.add(key, add_bytecode(entries) if python.is_own else entries)


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
    """The extra that a requirement belongs to, empty for none."""
    matched = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", requirement)
    return matched[1] if matched else ""


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
