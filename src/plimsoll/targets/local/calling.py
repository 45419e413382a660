"""Opens a service of this machine for one call: the running one, or one that is started for the call."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import TargetError
from plimsoll.kinds.service import SERVICES, Service
from plimsoll.runtime.server.service_file import ServiceFile, read_service_file
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.features import CalledService
from plimsoll.targets.local.own_code import version_file
from plimsoll.targets.local.servers import OWN_CODE_LIMIT, TESTED, changes_of, running_services, start_server
from plimsoll.targets.local.warden import Warden
from plimsoll.targets.models import version_for_use


@contextlib.contextmanager
def open_local_service(state: StateDirectory, file: ApplicationFile, service: str) -> Iterator[CalledService]:
    """The service, valid inside the block.

    Raises ModelRefused when its model may not be served, TargetError when the server does not start.
    """
    up = running_services(state).get(service)
    if up is not None:
        names = SERVICES.of(file.application)[service].hosts
        host = next(iter(names), "")
        yield CalledService(url=up.url, model=up.model, host=host, certificate=up.certificate)
        return
    part = SERVICES.of(file.application)[service]
    is_own = part.run is not None or bool(part.pipeline) or part.llm is not None or part.assistant is not None
    content = _as_last_served(state, service) if is_own else _of_leading(state, part)
    with tempfile.TemporaryDirectory(prefix="plimsoll-") as scratch, contextlib.closing(Warden()) as warden:
        log, changes = Path(scratch, "server.log"), changes_of(state, part.leading)
        server = start_server(warden, content, directory=Path(scratch), log=log, changes=changes)
        problem = server.wait_until_ready(limit=OWN_CODE_LIMIT)
        if problem:
            raise TargetError(problem, where=f"service {service}", hint="check its model with plimsoll models")
        yield CalledService(url=server.url, model=content.models[0].name)
        server.stop()


def _of_leading(state: StateDirectory, part: Service) -> ServiceFile:
    # One call has one answer, so the version with the largest share gives it.
    version, files = version_for_use(state, part.leading, None)
    return ServiceFile(models=(version_file(version, files, None),))


def _as_last_served(state: StateDirectory, service: str) -> ServiceFile:
    """The service as a run has tested it: the user's own code in its environment, with its models.

    Code that was changed since is refused by the server.
    """
    path = state.services / service / TESTED
    if not path.exists():
        hint = "plimsoll run tests it, and then it can be called"
        raise TargetError("it has not been started yet", where=f"service {service}", hint=hint)
    return read_service_file(path)
