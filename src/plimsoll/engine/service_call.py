"""A service for one call: the one that is up, or one that is started and stopped again."""

from __future__ import annotations

import contextlib
import difflib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from plimsoll.application.loading import load
from plimsoll.errors import FileError, TargetError
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.targets.local.models import model_for_use
from plimsoll.targets.local.servers import running_services, single_model, start_server
from plimsoll.targets.local.warden import Warden


@contextlib.contextmanager
def called_service(
    path: Path, name: str, target: str = LOCAL, namespace: str | None = None
) -> Iterator[tuple[str, str]]:
    """Address and model name of a service of an application, for as long as the block runs.

    Raises FileError when the file has no such service, ModelRefused when its model may not be served, TargetError when
    the server does not come up.
    """
    file = load(path)
    services = file.application.spec.services
    state = StateDirectory(file.directory)
    if name not in services:
        near = difflib.get_close_matches(name, services, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"its services are: {', '.join(services) or 'none'}"
        raise FileError(f"there is no service '{name}'", where=file.where("spec", "services"), hint=hint)
    if target != LOCAL:
        from plimsoll.targets.kubernetes.calling import reached

        with reached(target, file, name, namespace) as found:
            yield found
        return
    up = running_services(state).get(name)
    if up is not None:
        yield up.url, up.model
        return
    reference = services[name].model
    if not isinstance(reference, str):
        # One call cannot be shared: the version with the largest share answers it.
        reference = max(reference, key=lambda share: share.weight).model
    version, model = model_for_use(state, reference, None)
    with tempfile.TemporaryDirectory(prefix="plimsoll-") as scratch, contextlib.closing(Warden()) as warden:
        log = Path(scratch, "server.log")
        server = start_server(warden, single_model(version, model), directory=Path(scratch), log=log)
        problem = server.wait_until_ready()
        if problem:
            raise TargetError(problem, where=f"service {name}", hint="see its model with plimsoll models")
        yield server.url, version.name
        server.stop()
