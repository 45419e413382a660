"""A client of the Open Inference Protocol v2, on the standard library. Every call has a time limit."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import RequestError

OipMessage = dict[str, Any]
"""A JSON object of the Open Inference Protocol, as it was received: not every server checks its own types."""
LIMIT = 60.0
"""Seconds for a response."""
TOKEN_HINT = "put a token that may ask it into the variable PLIMSOLL_TOKEN, or name its file with --token-file"  # noqa: S105
"""What to do where a service asks who calls."""


_NONE: Mapping[str, str] = MappingProxyType({})
_headers: ContextVar[Mapping[str, str]] = ContextVar("headers", default=_NONE)
"""Headers of all requests of this thread or task."""


_certificate: ContextVar[str] = ContextVar("certificate", default="")
"""The file of the certificate that the server shows, where it is known."""


@contextlib.contextmanager
def calling_as(token: str, host: str = "", certificate: str = "") -> Iterator[None]:
    """Send a bearer token, and another name of the host, with all requests in the block. Empty ones are not sent.

    `certificate` is the file of the one certificate that a server of this machine may show, whatever names are in it.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    before = _headers.set({**headers, "Host": host} if host else headers)
    shown = _certificate.set(certificate)
    try:
        yield
    finally:
        _headers.reset(before)
        _certificate.reset(shown)


def sent_headers() -> dict[str, str]:
    """The headers of `calling_as`, for a request that is made elsewhere."""
    return dict(_headers.get())


def connection_to(address: urllib.parse.SplitResult, limit: float) -> http.client.HTTPConnection:
    """A connection that is not open yet. Raises TargetError for a certificate of `calling_as` that cannot be read."""
    if address.scheme != "https":
        return http.client.HTTPConnection(address.netloc, timeout=limit)
    return http.client.HTTPSConnection(address.netloc, timeout=limit, context=encryption_of(_certificate.get()))


def encryption_of(certificate: str) -> ssl.SSLContext:
    """What checks a server: the machine's authorities, or the one certificate of this file.

    Raises TargetError for a file that cannot be read.
    """
    context = ssl.create_default_context()
    if certificate:
        from plimsoll.runtime.server.tls.material import leaf_of

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=leaf_of(Path(certificate)))
        # It is this certificate and no other, so that its names say nothing more.
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


class RequestTooLarge(RequestError):
    """The request is larger than the service takes; a smaller one may pass."""


class RequestRefused(RequestError):
    """The service says that the request is wrong; another one may be right."""


def metadata(url: str, model: str, *, limit: float = LIMIT) -> OipMessage:
    """The inputs and outputs of a model. Raises RequestError with the service's reason."""
    return _call(url, "GET", f"/v2/models/{urllib.parse.quote(model)}", None, limit)


def infer(url: str, model: str, request: Mapping[str, object], *, limit: float = LIMIT) -> OipMessage:
    """Send an inference request in JSON. Raises RequestError with the service's reason."""
    body = msgspec.json.encode(request)
    return _call(url, "POST", f"/v2/models/{urllib.parse.quote(model)}/infer", body, limit)


def chat(url: str, request: Mapping[str, object], *, limit: float = LIMIT) -> OipMessage:
    """Ask a language model, by the OpenAI API. Raises RequestError with the service's reason."""
    return _call(url, "POST", "/v1/chat/completions", msgspec.json.encode(request), limit)


def _call(url: str, method: str, path: str, body: bytes | None, limit: float) -> OipMessage:
    address = urllib.parse.urlsplit(url)
    connection = connection_to(address, limit)
    try:
        # A server that refuses a large body may close the connection before it has all of it. Its answer says why.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(
                method, address.path.rstrip("/") + path, body, {"Content-Type": "application/json", **_headers.get()}
            )
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise RequestError(
            f"the service does not answer: {error}", where=url, hint="check the service with plimsoll status"
        ) from error
    finally:
        connection.close()
    failure: type[RequestError] = RequestError
    if answer.status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        failure = RequestTooLarge
    elif answer.status == http.HTTPStatus.BAD_REQUEST:
        failure = RequestRefused
    try:
        decoded = msgspec.json.decode(content)
    except UNREADABLE as error:
        raise failure(
            f"the service answered with status {answer.status} and a body that is not JSON", where=url
        ) from error
    if answer.status != 200:
        reason = decoded.get("error") if isinstance(decoded, dict) else None
        reason = reason.get("message") if isinstance(reason, dict) else reason
        hint = ""
        if answer.status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
            hint = TOKEN_HINT
        raise failure(f"{reason or 'no reason given'} (status {answer.status})", where=url + path, hint=hint)
    return dict(decoded)
