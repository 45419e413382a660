"""What stands by for a service on another target, where the service alone was changed."""

from __future__ import annotations

from plimsoll.application.loading import ApplicationFile
from plimsoll.kinds.failover import STANDBY
from plimsoll.kinds.service import SERVICES


def standby_note(file: ApplicationFile, service: str, command: str) -> str:
    """By which command what stands by for a service follows; empty where nothing does.

    `command` is of `plimsoll`, and has {service} and {target} in place of the standby's own.
    """
    part = SERVICES.of(file.application).get(service)
    if part is None or part.failover is None:
        return ""
    standby, target = f"{service}{STANDBY}", part.failover.to
    follows = command.format(service=standby, target=target)
    return f"{standby}, which stands by on {target}, is as it was; it follows with: plimsoll {follows}"
