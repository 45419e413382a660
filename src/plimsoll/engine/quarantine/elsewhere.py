"""Where else than on this machine a service is: as the file says, or as the newest runs on clusters have recorded."""

from __future__ import annotations

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.targets import LOCAL, target_named
from plimsoll.engine.cleaning.kept import planned_runs
from plimsoll.errors import FileError
from plimsoll.kinds.failover import STANDBY
from plimsoll.kinds.serve import Serve
from plimsoll.kinds.service import SERVICES
from plimsoll.state.directory import StateDirectory


def require_here(file: ApplicationFile, service: str) -> None:
    """Raise FileError, with the command, for a service that is on a cluster which nobody has named."""
    place = _place_of(file, service)
    if place:
        raise FileError(
            f"service '{service}' is on {place}, and no target was named",
            where="--target",
            hint=f"plimsoll quarantine {service} --target {place}",
        )


def _place_of(file: ApplicationFile, service: str) -> str:
    """The target that a service is on, as --target takes it; empty for this machine and for what is not known."""
    services = SERVICES.of(file.application)
    part = services.get(service)
    stood_for = services.get(service.removesuffix(STANDBY)) if part is None else None
    if stood_for is not None and stood_for.failover is not None:
        return stood_for.failover.to
    if part is not None and part.target is not None:
        return "" if target_named(file.application, part.target) == LOCAL else part.target
    directory = file.path.absolute().parent
    if _served_by(StateDirectory(directory), service):
        return ""
    roots = StateDirectory(directory).root / "targets"
    names = sorted(path.name for path in roots.iterdir() if path.is_dir()) if roots.is_dir() else []
    found = (_served_by(StateDirectory(directory, name), service) for name in names)
    return next(filter(None, found), "")


def _served_by(state: StateDirectory, service: str) -> str:
    """The target of the newest run there that can be read, if it has brought the service up; else empty."""
    newest = next(planned_runs(state), None)
    served = newest is not None and any(step.name == f"{Serve.verb}/{service}" for step in newest.steps)
    return newest.target if newest is not None and served else ""
