"""Which versions the services of this machine need: those that they answer with, and those of a rollback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from plimsoll.decoding import UNREADABLE
from plimsoll.runtime.server.service_file import ServiceFile, read_service_file
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.features import VersionUse
from plimsoll.targets.local.keeper.records import KeeperPlace, WantedService
from plimsoll.targets.local.promotion_record import PromotionRecord
from plimsoll.targets.local.servers import RunningService, running_services


def version_uses(state: StateDirectory) -> list[VersionUse]:
    """The versions of all services that are up, and of those that are to be kept up and are down at the moment.

    Raises TargetError when it cannot be read what one of them uses: nobody knows then what it needs.
    """
    up = running_services(state)
    found = [use for each in up.values() for use in _of_running(each)]
    place = KeeperPlace(state)
    known = place.wanted()
    for name in place.wanted_names():
        is_down, file = name not in up, place.service_file(name)
        who = f"service {name}{', which is to be up' if is_down else ''}"
        use = VersionUse(reference="", service=name, who=who, keys=_read_results(known.get(name)))
        found += _of_file(file, use) if is_down and file.exists() else [use]
    return found


def _read_results(wanted: WantedService | None) -> tuple[str, ...]:
    """The keys of what a kept service reads: its Python, and its tables, also for versions to come."""
    if wanted is None:
        return ()
    work = wanted.work
    tables = (work.reference, work.explain.background if work.explain is not None else None)
    keys = (work.environment, *(table.key for table in tables if table is not None))
    return tuple(key for key in keys if key is not None)


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
        if each.assistant is not None:
            # It has no version of its own: what it answers by stands beside it.
            continue
        reference = each.reference if each.llm is not None else f"{each.name}@{each.version}"
        yield replace(use, reference=reference, files=(each.path, *each.files))
        for step in each.steps:
            yield replace(use, reference=step.reference, files=(step.path, *step.files))
