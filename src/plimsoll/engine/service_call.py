"""Opens a service of an application for one call, on any target that can call services."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator
from pathlib import Path

from plimsoll.engine.preparation import target_for
from plimsoll.kinds.service import SERVICES
from plimsoll.kinds.table import KINDS
from plimsoll.state.directory import LOCAL
from plimsoll.targets.features import CALL, CalledService
from plimsoll.targets.options import TargetOptions


@contextlib.contextmanager
def open_service(
    path: Path, name: str, target: str | None = LOCAL, options: TargetOptions | None = None
) -> Iterator[CalledService]:
    """Address and model name of a service, valid inside the block. Without a target it is where the file has it.

    Raises FileError when the file has no such service, ModelRefused when its model may not be served, and TargetError
    when the service does not start or the target cannot call services.
    """
    file = KINDS.load(path)
    services = SERVICES.of(file.application)
    if name not in services:
        similar = difflib.get_close_matches(name, services, n=1)
        hint = f"did you mean '{similar[0]}'?" if similar else f"its services are: {', '.join(services) or 'none'}"
        raise file.error(f"there is no service '{name}'", hint, "spec", "services")
    with contextlib.closing(target_for(file, target, options)) as place, place.features.require(CALL)(file, name) as up:
        yield up
