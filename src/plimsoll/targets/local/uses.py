"""Which versions the services of this machine need: those that they answer with, and those of a rollback."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import TargetError
from plimsoll.runtime.server.service_file import ServiceFile, read_service_file
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.features import VersionUse
from plimsoll.targets.local.promotion_record import PromotionRecord
from plimsoll.targets.local.servers import RunningService, running_services


def version_uses(state: StateDirectory) -> list[VersionUse]:
    """The versions of all services that are up."""
    return [use for up in running_services(state).values() for use in _of(up)]


def _of(up: RunningService) -> Iterator[VersionUse]:
    who = f"service {up.name}"
    announced = VersionUse(reference=f"{up.model}@{up.version}", service=up.name, who=who, run=up.run)
    yield announced
    if not up.service_file:
        return
    path = Path(up.service_file)
    with contextlib.suppress(TargetError):
        file = read_service_file(path)
        yield from _of_file(file, announced)
        for model, version in file.former.items():
            yield replace(announced, reference=f"{model}@{version}", who=f"a rollback of {who}")
    before = PromotionRecord(path).interrupted_content()
    if before is not None:
        with contextlib.suppress(*UNREADABLE):
            # The next promotion restores it.
            undone = replace(announced, who=f"an interrupted promotion of {who}")
            yield from _of_file(msgspec.json.decode(before, type=ServiceFile), undone)


def _of_file(file: ServiceFile, use: VersionUse) -> Iterator[VersionUse]:
    for each in file.models:
        yield replace(use, reference=f"{each.name}@{each.version}", files=(each.path, *each.files))
