"""The subresource proxy of pods: a request passed on to where a pod's port leads."""

from __future__ import annotations

import http.client
from urllib.parse import urlencode

from plimsoll.kubernetes.memory.objects import Objects
from plimsoll.kubernetes.memory.refusals import StatusError
from plimsoll.kubernetes.memory.requests import ApiPath, ApiResponse, Request
from plimsoll.kubernetes.memory.streams import Ports

_LIMIT = 10.0


def passed_on(objects: Objects, ports: Ports, request: Request, place: ApiPath) -> ApiResponse:
    """The answer of the pod `name` or `name:port`. Raises StatusError: 404 without the pod, 503 when nobody listens."""
    name, _, port = place.name.partition(":")
    objects.get(ApiPath(kind=place.kind, namespace=place.namespace, name=name))
    to = ports.of(place.namespace, name, int(port or 80))
    if to is None:
        told = f"error trying to reach service: dial tcp: port {port or 80} of {name}: connect: connection refused"
        raise StatusError(503, "ServiceUnavailable", told)
    query = f"?{urlencode(request.parameters)}" if request.parameters else ""
    connection = http.client.HTTPConnection("127.0.0.1", to, timeout=_LIMIT)
    try:
        connection.request(request.method, f"/{place.rest}{query}", body=request.body or None)
        found = connection.getresponse()
        kind = found.headers.get("Content-Type", "text/plain")
        return ApiResponse(code=found.status, body=found.read(), content_type=kind)
    except OSError as error:
        raise StatusError(503, "ServiceUnavailable", f"error trying to reach service: {error}") from error
    finally:
        connection.close()
