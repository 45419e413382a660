"""What the shell completes: names of services, models, steps, runs, parameters and contexts.

It runs at each press of a key, so that it reads few files and imports little. Whatever goes wrong gives no names: an
error in the middle of a line that is being typed helps nobody.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import click

NEWEST = 50
"""Runs that are offered."""
LARGEST = 4 << 20
"""Bytes of a file that is read."""
_REFERENCE = "org.opencontainers.image.ref.name"
_VERBS_OF: Mapping[str, tuple[str, ...]] = {
    "models": ("train", "register"),
    "services": ("serve",),
    "batches": ("score",),
    "indexes": ("index", "release"),
}

Names = Callable[[click.Context], Iterable[str]]
Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _completes(names: Names) -> Complete:
    @functools.wraps(names)
    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            return sorted({name for name in names(context) if name.startswith(incomplete)})
        except Exception:  # noqa: BLE001 - a file may be half written, of another kind, or not to be read
            return []

    return complete


@_completes
def services(context: click.Context) -> Iterable[str]:
    """The services of the file."""
    return _part(context, "services")


@_completes
def assistants(context: click.Context) -> Iterable[str]:
    """The assistants of the file."""
    return _part(context, "assistants")


@_completes
def models(context: click.Context) -> Iterable[str]:
    """The models of the file."""
    return _part(context, "models")


@_completes
def versions(context: click.Context) -> Iterator[str]:
    """The models of the file, their versions and their tags."""
    import json

    yield from _part(context, "models")
    index = _state(context) / "registry" / "index.json"
    for entry in json.loads(_text(index)).get("manifests", ()) if index.exists() else ():
        name, _, version = str((entry.get("annotations") or {}).get(_REFERENCE, "")).partition(":")
        if version:
            yield f"{name}@{version}" if version.isdigit() else f"{name}:{version}"


@_completes
def steps(context: click.Context) -> Iterator[str]:
    """The steps of the file, and the names of its parts."""
    for kind, verbs in _VERBS_OF.items():
        for name in _part(context, kind):
            yield name
            yield from (f"{verb}/{name}" for verb in verbs)
    for name, dataset in _part(context, "datasets").items():
        yield name
        yield f"{'run' if isinstance(dataset, Mapping) and 'run' in dataset else 'fetch'}/{name}"


@_completes
def parameters(context: click.Context) -> Iterator[str]:
    """The parameters of the file, with the sign that their values follow."""
    for name in _part(context, "parameters"):
        yield f"{name}="


@_completes
def runs(context: click.Context) -> Iterator[str]:
    """The newest runs, by their numbers and their ids."""
    import re

    target = str(context.params.get("target") or "local")
    root = _state(context) if target == "local" else _state(context) / "targets" / target
    found = sorted((root / "runs").iterdir(), reverse=True)[:NEWEST]
    for run in found:
        yield run.name
        with (run / "journal.jsonl").open("rb") as file:
            number = re.search(rb'"number":\s*(\d+)', file.readline(LARGEST))
        if number:
            yield number[1].decode()


@_completes
def targets(context: click.Context) -> Iterator[str]:
    """This machine, and the contexts of the kubeconfig."""
    yield "local"
    named = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    for path in named.split(os.pathsep):
        if path and Path(path).is_file():
            contexts = _yaml(Path(path)).get("contexts")
            yield from (str(each["name"]) for each in contexts) if isinstance(contexts, list) else ()


def _part(context: click.Context, key: str) -> Mapping[str, object]:
    """The entries below a key of `spec`."""
    file = Path(context.params.get("file") or "plimsoll.yaml")
    spec = _yaml(file / "plimsoll.yaml" if file.is_dir() else file).get("spec")
    entries = spec.get(key) if isinstance(spec, Mapping) else None
    return entries if isinstance(entries, Mapping) else {}


def _state(context: click.Context) -> Path:
    file = Path(context.params.get("file") or "plimsoll.yaml")
    return (file if file.is_dir() else file.parent) / ".plimsoll"


def _yaml(path: Path) -> Mapping[str, object]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: Mapping[str, object] = yaml.load(_text(path), loader)  # noqa: S506 - both loaders are safe ones
    return found


def _text(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(LARGEST)
