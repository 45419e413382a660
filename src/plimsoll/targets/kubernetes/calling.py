"""A service of a cluster, called from this machine through the API server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.port_forward import to_service
from plimsoll.targets.kubernetes import names


@contextlib.contextmanager
def reached(target: str, file: ApplicationFile, service: str, namespace: str | None) -> Iterator[tuple[str, str]]:
    """Address and model name, for as long as the block runs. Raises TargetError when the service is not up."""
    application = file.application.metadata.name
    place = namespace or names.short(application, 63)
    api = Api(target)
    name = names.service(application, service)
    model = file.application.spec.services[service].model
    first = model if isinstance(model, str) else model[0].model
    try:
        with to_service(api, place, name) as address:
            yield f"http://{address}", first.partition("@")[0]
    except ApiError as error:
        if error.status != 404:
            raise
        hint = f"plimsoll run -f {file.path} --target {target}"
        raise TargetError(f"the service {service} is not on {target}", where=f"namespace {place}", hint=hint) from error
    finally:
        api.close()
