"""A service of a cluster, called from this machine through the API server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import TargetError
from plimsoll.kinds.service import SERVICES
from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.port_forward import NoPodReady, to_service
from plimsoll.targets.features import CalledService
from plimsoll.targets.kubernetes.standing import service_name
from plimsoll.targets.kubernetes.standing_waits import why_not_ready


@contextlib.contextmanager
def called(api: Api, namespace: str, file: ApplicationFile, service: str) -> Iterator[CalledService]:
    """The service for as long as the block runs. Raises TargetError when it is not up."""
    application = file.application
    model = SERVICES.of(application)[service].leading.partition("@")[0] or service
    try:
        with to_service(api, namespace, service_name(api, application.name, namespace, service)) as address:
            yield CalledService(url=f"http://{address}", model=model)
    except ApiError as error:
        if error.status != 404:
            raise
        hint = f"plimsoll run -f {file.path} --target {api.target}"
        text = f"the service {service} is not on {api.target}"
        raise TargetError(text, where=f"namespace {namespace}", hint=hint) from error
    except NoPodReady as error:
        why = why_not_ready(api, application.name, namespace, service)
        raise TargetError(
            f"{error.message}: {why}" if why else error.message, where=error.where, hint=error.hint
        ) from error
