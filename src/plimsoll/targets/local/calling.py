"""Opens a service of this machine for one call: the running one, or one that is started for the call."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import TargetError
from plimsoll.kinds.service import SERVICES
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.features import CalledService
from plimsoll.targets.local.servers import running_services, single_model, start_server
from plimsoll.targets.local.warden import Warden
from plimsoll.targets.models import model_for_use


@contextlib.contextmanager
def open_local_service(state: StateDirectory, file: ApplicationFile, service: str) -> Iterator[CalledService]:
    """The service, valid inside the block.

    Raises ModelRefused when its model may not be served, TargetError when the server does not start.
    """
    up = running_services(state).get(service)
    if up is not None:
        yield CalledService(url=up.url, model=up.model)
        return
    part = SERVICES.of(file.application)[service]
    if part.run is not None or part.pipeline:
        hint = "start it: plimsoll run --watch"
        raise TargetError("it is your own code and is not running", where=f"service {service}", hint=hint)
    # One call has one answer, so the version with the largest share gives it.
    version, model = model_for_use(state, part.leading, None)
    with tempfile.TemporaryDirectory(prefix="plimsoll-") as scratch, contextlib.closing(Warden()) as warden:
        log = Path(scratch, "server.log")
        server = start_server(warden, single_model(version, model), directory=Path(scratch), log=log)
        problem = server.wait_until_ready()
        if problem:
            raise TargetError(problem, where=f"service {service}", hint="check its model with plimsoll models")
        yield CalledService(url=server.url, model=version.name)
        server.stop()
