"""What lies in a state directory that nothing needs, each with its size."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from msgspec import Struct

from plimsoll.engine.cleaning.kept import Kept
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import holder
from plimsoll.state.sizes import Inodes, size_of
from plimsoll.telemetry.drift.reference_file import model_of_reference

RUNS, RESULTS, CHECKPOINTS, LOGS, DRIFT, CODE, REGISTRY, VERSIONS, LEFTOVERS = (
    "runs",
    "results",
    "checkpoints",
    "logs",
    "drift",
    "code",
    "registry",
    "versions",
    "leftovers",
)
STATE = ".state.json"


class Removal(Struct, frozen=True, kw_only=True):
    """One thing that goes. `size` is in bytes; `path` is empty for what is no file of this machine's state."""

    kind: str
    name: str
    size: int = 0
    path: str = ""


def removals(state: StateDirectory, kept: Kept, code: Collection[str], models: Collection[str] | None) -> list[Removal]:
    """Files and directories that are not needed, what leads to others before the others.

    `code` has the digests of the code that any target needs, and the keys of its steps. `models` has the digests of the
    versions that stay; `None` when they are not known, so that whatever belongs to a version stays.
    """
    seen: Inodes = set()
    found = [
        *((RUNS, path) for path in _others(state.runs, kept.runs)),
        *((RESULTS, path) for path in _others(state.results, kept.keys)),
        *((CHECKPOINTS, path) for path in _others(state.checkpoints, kept.keys)),
        *((CHECKPOINTS, path) for path in _others(state.curves, {f"{key}.jsonl" for key in kept.keys})),
        *((LEFTOVERS, path) for path in _work(state, kept)),
        *((LOGS, path) for path in _others(state.service_logs, kept.services)),
        *((DRIFT, path) for path in _drift(state, kept, models)),
        *((CODE, path) for path in _others(state.code, ()) if path.name.partition(".")[0] not in code),
        *((LEFTOVERS, path) for path in _others(state.removed, ())),
    ]
    return [Removal(kind=kind, name=path.name, size=size_of(path, seen), path=str(path)) for kind, path in found]


def dangling_links(state: StateDirectory) -> Iterator[Path]:
    """Links to results that are gone: in work/, and in latest/."""
    for directory in (state.work, *_others(state.latest, ())):
        for path in _others(directory, ()):
            if path.is_symlink() and not path.exists():
                yield path


def _others(directory: Path, needed: Collection[str]) -> list[Path]:
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.name not in needed)
    return []


def _work(state: StateDirectory, kept: Kept) -> list[Path]:
    """Directories of attempts that were killed, of steps that no kept run has; none while a run goes on."""
    if holder(state.lock) is not None:
        return []
    return [path for path in _others(state.work, kept.keys) if not path.is_symlink()]


def _drift(state: StateDirectory, kept: Kept, models: Collection[str] | None) -> Iterator[Path]:
    """References of versions that are gone, and what servers have seen of services that no kept run has."""
    for path in _others(state.drift, ()):
        if path.name.endswith(STATE):
            if path.name.partition(".")[0] not in kept.services:
                yield path
        elif models is not None and (model := model_of_reference(path)) is not None and model not in models:
            yield path
