"""Places: an application's directory with each target that it has run on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.capabilities.bundle_reader import is_bundle
from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import FileError
from plimsoll.state.directory import LOCAL, NAME, StateDirectory
from plimsoll.state.run_order import JOURNAL

FILE = "plimsoll.yaml"


class _Planned(Struct, frozen=True):
    application: str = ""
    target: str = ""
    file: str = ""


@decodable
class _FirstLine(Struct, frozen=True):
    fact: _Planned


class Place(Struct, frozen=True, kw_only=True):
    """One application on one target. `id` is its word in addresses, `application` is empty before its first run."""

    id: str
    directory: Path
    target: str
    application: str

    @property
    def state(self) -> StateDirectory:
        """Where its runs are."""
        return StateDirectory(self.directory, self.target)


def directories(given: Sequence[Path]) -> list[Path]:
    """The directories of applications that were named by file or directory. Raises FileError for what has none."""
    found: dict[Path, None] = {}
    for path in given:
        directory = path.absolute() if path.is_dir() else path.absolute().parent
        if not path.exists():
            raise FileError(
                "there is no such file or directory", where=str(path), hint="name the directory of an application"
            )
        if not ((directory / FILE).exists() or path.is_file() or (directory / NAME).is_dir() or bundles(directory)):
            raise FileError(
                f"there is no application and no evidence bundle here: no {FILE}, no {NAME}",
                where=str(directory),
                hint="name the directory of an application: plimsoll ui DIRECTORY",
            )
        found[directory] = None
    return list(found)


def places(known: Sequence[Path], contexts: Sequence[str] = ()) -> list[Place]:
    """A place for this machine, and one for each context that was named or that the application has run on."""
    found: dict[str, Place] = {}
    for directory in known:
        for target in (LOCAL, *_contexts(directory, contexts)):
            first = _newest_plan(StateDirectory(directory, target).runs)
            word = _free(directory.name or "root", target, found)
            found[word] = Place(id=word, directory=directory, target=target, application=first.application)
    return list(found.values())


def bundles(directory: Path) -> list[Path]:
    """The evidence bundles in a directory, and the directory itself where it is one."""
    try:
        inside = sorted(each for each in directory.iterdir() if each.is_dir() and is_bundle(each))
    except OSError:
        return []
    return [directory, *inside] if is_bundle(directory) else inside


def _contexts(directory: Path, named: Sequence[str]) -> list[str]:
    try:
        roots = sorted(path for path in (directory / NAME / "targets").iterdir() if path.is_dir())
    except OSError:
        roots = []
    recorded = [_newest_plan(root / "runs").target for root in roots]
    return [context for context in dict.fromkeys((*named, *recorded)) if context not in ("", LOCAL)]


def _newest_plan(runs: Path) -> _Planned:
    """What the newest run began with, by the time in its id; empty without a run whose journal can be read."""
    try:
        names = sorted((path.name for path in runs.iterdir()), reverse=True)
    except OSError:
        return _Planned()
    for name in names[:20]:
        try:
            with (runs / name / JOURNAL).open("rb") as file:
                planned = msgspec.json.decode(file.readline(), type=_FirstLine).fact
        except (*UNREADABLE, OSError):
            continue
        if planned.target:
            return planned
    return _Planned()


def _free(name: str, target: str, taken: dict[str, Place]) -> str:
    """A word for a place that no other has; the same one each time, so that addresses stay."""
    base = name if target == LOCAL else f"{name}@{target}"
    base = base.replace("/", "-")
    word, number = base, 2
    while word in taken:
        word, number = f"{base}~{number}", number + 1
    return word
