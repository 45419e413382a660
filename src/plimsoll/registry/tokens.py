"""Answer a registry's 401: basic authorization, or a bearer token from its token service.

Sources: RFC 7235 and 7617; distribution.github.io, "Token Authentication Specification" and "OAuth2".
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Callable

import httpx2
import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.registry.bounds import TOKEN_BYTES, TooMany, read_body, read_error, within
from plimsoll.registry.credentials import Credentials
from plimsoll.registry.problems import RegistryError, error_summary
from plimsoll.registry.references import Reference

TOKEN_LIMIT = 60.0
"""Seconds until a token service's response begins."""
_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')


_LOG_IN = "log in (docker login, skopeo login), or set REGISTRY_AUTH_FILE to the file with the credentials"


@decodable
class _TokenResponse(Struct, frozen=True):
    """A token service sends `token`, an OAuth2 server `access_token`."""

    token: str | None = None
    access_token: str | None = None


def authorization(
    client: httpx2.Client,
    challenge: str,
    scopes: str,
    credentials: Credentials,
    reference: Reference,
    may_be_plain: Callable[[str], bool],
) -> str:
    """The Authorization header for `scopes` (separated by spaces). Raises RegistryError when access is denied.

    The challenge must come from the registry itself. `may_be_plain` says of a token service's host whether it may get
    the credentials without TLS.
    """
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic":
        if not credentials.username:
            why = f": {credentials.problem}" if credentials.problem else ""
            raise _access_denied(reference, f"it asks for a user name and a password, and none are configured{why}")
        return _basic_header(credentials)
    if scheme.lower() != "bearer":
        raise _access_denied(reference, f"it asks for an unsupported kind of authorization: '{challenge[:80]}'")
    parameters = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
    written = parameters.get("realm", "")
    try:
        realm = httpx2.URL(written)
    except (httpx2.InvalidURL, ValueError):
        realm = httpx2.URL("")
    if realm.scheme not in {"http", "https"} or not realm.host:
        raise _access_denied(reference, f"its token service has an invalid address: '{written[:80]}'")
    if realm.scheme == "http" and not may_be_plain(realm.host):
        reason = f"its token service http://{realm.host[:80]} has no TLS, so that others could read the password"
        raise _access_denied(reference, reason, hint="ask the operator of the registry for a token service with https")
    return f"Bearer {_fetch_token(client, realm, parameters.get('service', ''), scopes, credentials, reference)}"


def _fetch_token(
    client: httpx2.Client, realm: httpx2.URL, service: str, scopes: str, credentials: Credentials, reference: Reference
) -> str:
    if credentials.identity_token:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credentials.identity_token,
            "service": service,
            "scope": scopes,
            "client_id": "plimsoll",
        }
        request = client.build_request("POST", realm, data=form)
    else:
        query = {"service": service, "scope": scopes.split()}
        headers = {"Authorization": _basic_header(credentials)} if credentials else {}
        params = realm.params.merge(httpx2.QueryParams(query))
        request = client.build_request("GET", realm, params=params, headers=headers)
    # A redirect is not followed: it would take the credentials along.
    answer = within(TOKEN_LIMIT, lambda: client.send(request, stream=True, follow_redirects=False))
    if answer.status_code >= 400:
        summary = error_summary(answer, read_error(answer))
        raise _access_denied(reference, f"its token service refused: {summary}", answer.status_code)
    try:
        with contextlib.closing(answer):
            content = msgspec.json.decode(read_body(answer, TOKEN_BYTES), type=_TokenResponse)
    except TooMany:
        raise _access_denied(reference, f"its token service sent more than {TOKEN_BYTES} bytes") from None
    except UNREADABLE:
        content = _TokenResponse()
    token = content.token or content.access_token
    if not token or not token.isascii() or not token.isprintable():
        raise _access_denied(reference, "its token service returned no token")
    return token


def _basic_header(credentials: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def _access_denied(reference: Reference, reason: str, status: int = 401, hint: str = _LOG_IN) -> RegistryError:
    return RegistryError(f"the registry denied access: {reason}", status=status, where=reference.name, hint=hint)
