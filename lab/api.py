"""Requests to the API server over a connection that stays open.

The lab polls until an object reaches a state. Each poll by kubectl would start a process and take a tenth of a second
of processor time from the very programs that the lab waits for.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from lab import layout
from lab.errors import LabError

_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_TOO_MANY_REQUESTS = 429
_RETRY_LIMIT = 10.0
"""Seconds to retry while a new API server is busy, and while it does not serve a new definition yet."""


class ApiError(LabError):
    """The API server refused a request; `status` is the HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class ResourceType:
    """A resource type of the API server: its names and the path of its objects."""

    base: str
    plural: str
    kind: str
    namespaced: bool
    names: frozenset[str]

    @property
    def group_version(self) -> str:
        """The apiVersion of its objects."""
        return self.base.removeprefix("/apis/").removeprefix("/api/")

    def path(self, namespace: str | None = None, name: str = "") -> str:
        """The path of one object, or of all objects without a name; in all namespaces without a namespace."""
        where = f"/namespaces/{quote(namespace)}" if namespace and self.namespaced else ""
        return f"{self.base}{where}/{self.plural}" + (f"/{quote(name)}" if name else "")


def request(
    method: str,
    path: str,
    body: object = None,
    *,
    media: str = "application/json",
    limit: float = 60.0,
    **query: object,
) -> Any:
    """Sends a request and returns the decoded answer: JSON, or text where the answer is not JSON.

    Raises ApiError with the server's message, and LabError when the server does not answer.
    """
    target = f"{path}?{urlencode(query)}" if query else path
    text = None if body is None else json.dumps(body)
    end = time.monotonic() + _RETRY_LIMIT
    while True:
        status, found = _send(method, target, text, media, limit)
        if status != _TOO_MANY_REQUESTS or time.monotonic() > end:
            break
        time.sleep(0.2)
    if status >= 400:
        reason, message = (
            (found.get("reason", status), found.get("message", "")) if isinstance(found, dict) else (status, found)
        )
        raise ApiError(status, f"Error from server ({reason}): {message}")
    return found


def find_resource(word: str) -> ResourceType:
    """The resource with this plural, singular, short name or kind, with or without ".GROUP". Raises LabError."""
    plain, _, group = word.lower().partition(".")

    def fits(each: ResourceType) -> bool:
        return plain in each.names and (not group or each.group_version.rpartition("/")[0].startswith(group))

    found = next((each for fresh in (False, True) for each in _resources(fresh) if fits(each)), None)
    if found is None:
        raise LabError(f"the server has no resource type '{word}'")
    return found


def resource_of(manifest: dict[str, Any]) -> ResourceType:
    """The resource of a manifest. Retries for some seconds, as its definition may be new. Then raises LabError."""
    version, kind = manifest["apiVersion"], manifest["kind"]
    end = time.monotonic() + _RETRY_LIMIT
    fresh = False
    while True:
        for each in _resources(fresh):
            if each.kind == kind and each.group_version == version:
                return each
        if time.monotonic() > end:
            raise LabError(f"no matches for kind '{kind}' in version '{version}'")
        if fresh:
            time.sleep(0.2)
        fresh = True


_resources_by_config: dict[str, list[ResourceType]] = {}


def _resources(fresh: bool) -> list[ResourceType]:
    config = layout.KUBECONFIG.read_text() if layout.KUBECONFIG.exists() else ""
    if fresh or config not in _resources_by_config:
        _resources_by_config.clear()
        found = [each for root in ("/api", "/apis") for each in _discovered(root)]
        _resources_by_config[config] = found
    return _resources_by_config[config]


def _discovered(root: str) -> list[ResourceType]:
    status, found = _send("GET", root, None, "application/json", 30, accept=_DISCOVERY)
    if status >= 400:
        raise ApiError(status, f"the API server does not list its resources: {found}")
    return [
        ResourceType(
            base="/".join(part for part in (root, group["metadata"].get("name", ""), version["version"]) if part),
            plural=each["resource"],
            kind=each["responseKind"]["kind"],
            namespaced=each["scope"] == "Namespaced",
            names=frozenset(
                word.lower()
                for word in (
                    each["resource"],
                    each.get("singularResource", ""),
                    each["responseKind"]["kind"],
                    *each.get("shortNames", ()),
                )
            ),
        )
        for group in found["items"]
        for version in group["versions"]
        for each in version.get("resources", ())
        if each.get("responseKind")
    ]


_thread = threading.local()


def _send(
    method: str, target: str, body: str | None, media: str, limit: float, accept: str = "application/json"
) -> tuple[int, Any]:
    headers = {"Accept": accept, **({"Content-Type": media} if body is not None else {})}
    config = _config()
    while True:
        kept = getattr(_thread, "connection", None) if getattr(_thread, "config", None) == config else None
        connection = kept or _connection(config, limit)
        if connection.sock is not None:
            connection.sock.settimeout(limit)
        _thread.connection, _thread.config = None, config
        try:
            connection.request(method, target, body.encode() if body is not None else None, headers)
            answer = connection.getresponse()
            found = _decoded(answer)
        except (OSError, HTTPException) as error:
            connection.close()
            # The server may have closed a kept connection unnoticed. Only the failure of a new connection is an error.
            if kept is not None and not isinstance(error, TimeoutError):
                continue
            raise LabError(f"the API server does not answer: {error or type(error).__name__}") from None
        _thread.connection = connection
        return answer.status, found


def _decoded(answer: HTTPResponse) -> Any:
    text = answer.read().decode()
    if not answer.headers.get("Content-Type", "").startswith("application/json"):
        return text
    return json.loads(text)


def _config() -> str:
    try:
        return layout.KUBECONFIG.read_text()
    except FileNotFoundError:
        raise LabError("the lab does not run; 'python -m lab up' starts it") from None


def _connection(config: str, limit: float) -> HTTPSConnection:
    server, context = _server_and_tls(config)
    where = urlsplit(server)
    return _Connection(where.hostname or "", where.port, timeout=limit, context=context)


class _Connection(HTTPSConnection):
    """A connection that closes with its last reference: after its thread ends, or after its lab is gone."""

    def __del__(self) -> None:
        self.close()


@lru_cache(maxsize=2)
def _server_and_tls(config: str) -> tuple[str, ssl.SSLContext]:
    found = json.loads(config)
    cluster, user = found["clusters"][0]["cluster"], found["users"][0]["user"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as file:  # only its owner can read it
        for part in ("client-certificate-data", "client-key-data"):
            file.write(base64.b64decode(user[part]))
        file.flush()
        context.load_cert_chain(file.name)
    return cluster["server"], context
