"""Which versions the services of this machine need: those that they answer with, and those of a rollback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.planning.steps import InputFile
from plimsoll.runtime.server.service_file import ServiceFile, read_service_file
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.features import VersionUse
from plimsoll.targets.local.promotion_record import PromotionRecord
from plimsoll.targets.local.servers import RunningService, running_services


class _Work(Struct, frozen=True):
    reference: InputFile | None = None


@decodable
class _Wanted(Struct, frozen=True):
    work: _Work


KEPT_UP = ("keeper", "wanted")
"""Where it stands which services are to be kept up, each in a file of its name."""


def version_uses(state: StateDirectory) -> list[VersionUse]:
    """The versions of all services that are up, and of those that are to be kept up and are down at the moment.

    Raises TargetError when it cannot be read what one of them uses: nobody knows then what it needs.
    """
    up = running_services(state)
    found = [use for each in up.values() for use in _of_running(each)]
    for wanted in sorted(state.root.joinpath(*KEPT_UP).glob("*.json")):
        name, file = wanted.stem, state.services / wanted.stem / "service.json"
        use = VersionUse(reference="", service=name, who=f"service {name}, which is to be up", keys=_tables(wanted))
        found += [use] if name in up or not file.exists() else _of_file(file, use)
    return found


def _tables(wanted: Path) -> tuple[str, ...]:
    """The keys of the results that a service's drift is judged against, also that of versions to come."""
    try:
        reference = msgspec.json.decode(wanted.read_bytes(), type=_Wanted).work.reference
    except (*UNREADABLE, OSError):
        return ()
    return (reference.key,) if reference is not None else ()


def _of_running(up: RunningService) -> Iterator[VersionUse]:
    announced = VersionUse(reference=f"{up.model}@{up.version}", service=up.name, who=f"service {up.name}", run=up.run)
    yield announced
    if up.service_file:
        yield from _of_file(Path(up.service_file), announced)


def _of_file(path: Path, use: VersionUse) -> Iterator[VersionUse]:
    """The versions of a service file, those of a rollback, and those before an interrupted promotion."""
    file = read_service_file(path)
    yield from _served(file, use)
    for model, version in file.former.items():
        yield replace(use, reference=f"{model}@{version}", who=f"a rollback of {use.who}")
    before = PromotionRecord(path).interrupted_content()
    if before is not None:
        with contextlib.suppress(*UNREADABLE):
            # The next promotion restores it.
            undone = replace(use, who=f"an interrupted promotion of {use.who}")
            yield from _served(msgspec.json.decode(before, type=ServiceFile), undone)


def _served(file: ServiceFile, use: VersionUse) -> Iterator[VersionUse]:
    for each in file.models:
        yield replace(use, reference=f"{each.name}@{each.version}", files=(each.path, *each.files))
