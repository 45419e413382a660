"""The way from this machine to the cluster's registry: as it is named, or through the API server to its pods."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from plimsoll.errors import TargetError
from plimsoll.kubernetes.api import Api, ApiError
from plimsoll.kubernetes.cluster import RegistryPlace
from plimsoll.kubernetes.port_forward import Forward, NoPodReady, ready_pod
from plimsoll.registry.connection import RegistryAccess
from plimsoll.registry.references import parse_reference
from plimsoll.targets.kubernetes.standing_waits import why_no_pod


class RegistryTunnel:
    """`host` is the registry's name as it is reached from here, with the path that belongs to us.

    `own` is the application's namespace.
    """

    def __init__(self, api: Api, place: RegistryPlace, own: str) -> None:
        self._forward: Forward | None = None
        self._authority: Path | None = None
        if place.us is not None:
            self.host = place.us
            self.access = RegistryAccess.of_environment(parse_reference(f"{place.us}/x"))
            return
        service, namespace, port = service_behind(place)
        try:
            pod, target = ready_pod(api, namespace, service, port)
        except NoPodReady as error:
            why = why_no_pod(api, namespace, service)
            told = f"the cluster's registry does not answer: {error.message}{f' ({why})' if why else ''}"
            hint = "have its pods mended, or name another with --registry"
            raise TargetError(told, where=error.where, hint=hint) from error
        self._forward = Forward(api, namespace, pod, target)
        self.host = f"127.0.0.1:{self._forward.port}"
        self._authority = _authority(api, (own, namespace, "default"))
        self.access = RegistryAccess(ca_file=self._authority)

    def close(self) -> None:
        """Shut the way through the API server, if there is one."""
        if self._forward is not None:
            self._forward.close()
        if self._authority is not None:
            self._authority.unlink(missing_ok=True)


def service_behind(place: RegistryPlace) -> tuple[str, str, int]:
    """Name, namespace and port of the Service that a registry inside the cluster is.

    Raises TargetError for a registry that is none.
    """
    host, _, port = place.pods.partition("/")[0].partition(":")
    service, _, namespace = host.removesuffix(".cluster.local").removesuffix(".svc").partition(".")
    if not namespace:
        raise TargetError(f"the registry {place.pods} is no service of the cluster", hint="use --registry")
    return service, namespace, int(port or 443)


def _authority(api: Api, namespaces: Iterable[str]) -> Path | None:
    """The cluster's own certificate authority as a file: a registry inside the cluster may be signed by it.

    Every namespace has it; the first that may be read gives it.
    """
    found: dict[str, Any] | None = None  # Any: JSON
    for namespace in dict.fromkeys(namespaces):
        try:
            found = api.get("v1", "ConfigMap", "kube-root-ca.crt", namespace)
        except ApiError as error:
            if error.status in (0, 401):
                raise
            continue
        break
    if found is None:
        return None
    text = found["data"]["ca.crt"]
    ssl.create_default_context(cadata=text)
    # Of a name that nobody can know before: whoever could put a file there would be trusted.
    with tempfile.NamedTemporaryFile("w", prefix="plimsoll-authority-", suffix=".crt", delete=False) as file:
        file.write(text)
    return Path(file.name)
