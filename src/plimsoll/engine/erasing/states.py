"""What lies in a state directory: each file once, with what it belongs to, and what is done with it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from msgspec import Struct

from plimsoll.engine.erasing.finding import (
    CACHE,
    CHECKPOINT,
    CURVE,
    DRIFT,
    EVALUATION,
    EVIDENCE,
    LOG,
    OTHER,
    RESULT,
    WORK,
    Finding,
    How,
    Look,
    told,
)
from plimsoll.state.directory import StateDirectory

NOT_LOOKED_INTO = frozenset({"targets", "registry", "erasures", "changes", "audit-keys", "lock", "beginning.lock"})
"""What has its own module, is a state directory of its own, or has keys and locks alone."""
AUDIT_NAMES = ("audit.jsonl", "-audit.jsonl")
"""Parts of the names of audit logs: those of services here, and those collected of devices."""


class Area(Struct, frozen=True):
    """A directory of a state directory. Of `whole`, what has the person goes with all beside it."""

    place: str
    how: How
    depth: int = 0
    """Names below it that make one thing; 0 where each file is one."""
    why: str = ""


AREAS = {
    "results": Area(RESULT, "removed", 1),
    "work": Area(WORK, "removed", 1),
    "checkpoints": Area(CHECKPOINT, "removed", 1),
    "curves": Area(CURVE, "removed"),
    "latest": Area(RESULT, "removed"),
    "runs": Area(LOG, "struck out"),
    "logs": Area(LOG, "struck out"),
    "moves.jsonl": Area(LOG, "struck out"),
    "drift": Area(DRIFT, "struck out"),
    "evaluations": Area(EVALUATION, "removed", 2, "what is signed as a whole cannot lose a part"),
    "quarantine": Area(EVIDENCE, "removed", 1, "what is signed as a whole cannot lose a part"),
    "removed": Area(CACHE, "removed", 1),
    "ui": Area(CACHE, "removed"),
    "sizes": Area(CACHE, "removed"),
    "code": Area(CACHE, "removed"),
    "digests.json": Area(CACHE, "removed"),
    "run-order.json": Area(CACHE, "removed"),
    "services": Area(OTHER, "kept", 0, "a running service reads it: plimsoll down, then erase again"),
    "keeper": Area(OTHER, "kept", 0, "a running service reads it: plimsoll down, then erase again"),
}
_ELSEWHERE = Area(OTHER, "struck out")


def findings_in(
    state: StateDirectory, derived: Collection[str], why: dict[str, str], used: dict[str, str], look: Look,
    name_of: Look, problems: list[str],
) -> Iterator[Finding]:  # fmt: skip
    """What has the person, or could: results of `derived` keys are not looked into, and go. `why` says why by key.

    `used` has who reads a result at this moment, by key. `name_of` looks into the name of a file.
    """
    done: set[Path] = set()
    for path, parts in _files(state.root):
        area = AREAS.get(parts[0], _ELSEWHERE)
        thing = state.root.joinpath(*parts[: 1 + area.depth]) if area.depth else path
        if thing in done:
            continue
        key = parts[1].removesuffix(".jsonl") if len(parts) > 1 else ""
        is_derived = area.place in {RESULT, WORK, CHECKPOINT, CURVE} and key in derived
        if is_derived and key not in used:
            done.add(thing)
            what = f"{_files_of(thing)} files" if thing.is_dir() else "1 file"
            yield _finding(state, area, thing, what, why.get(key, ""))
            continue
        seen = look(path) + name_of(path)
        if seen.problem:
            problems.append(f"{path}: {seen.problem}")
        if not seen.found:
            continue
        if key in used and area.place == RESULT:
            # A service reads it: it stays, without the rows.
            yield Finding(
                place=RESULT, name=shown(state, path), what=told(seen), how="rewritten", path=str(path),
                why=f"{used[key]} reads it",
            )  # fmt: skip
            continue
        done.add(thing)
        yield _finding(state, area, thing, told(seen), area.why)


def shown(state: StateDirectory, path: Path) -> str:
    """A path as people read it: relative to the application."""
    return state.shown(path)


def _finding(state: StateDirectory, area: Area, thing: Path, what: str, why: str) -> Finding:
    return Finding(place=area.place, name=shown(state, thing), what=what, how=area.how, why=why, path=str(thing))


def _files_of(directory: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(directory))


def _files(root: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Every file below a state directory, links and sockets left out, with the parts of its path."""
    for directory, directories, files in os.walk(root):
        base = Path(directory)
        if base == root:
            directories[:] = [name for name in directories if name not in NOT_LOOKED_INTO]
        directories.sort()
        for name in sorted(files):
            path = base / name
            if base == root and (name in NOT_LOOKED_INTO or name == ".gitignore"):
                continue
            if any(part in name for part in AUDIT_NAMES):
                continue
            if path.is_file() and not path.is_symlink():
                yield path, path.relative_to(root).parts
