"""Answer a registry's 401: basic authorization, or a bearer token from its token service.

Sources: RFC 7235 and 7617; distribution.github.io, "Token Authentication Specification" and "OAuth2".
"""

from __future__ import annotations

import base64
import re

import httpx2
import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.registry.credentials import Credentials
from plimsoll.registry.problems import RegistryError, error_summary
from plimsoll.registry.references import Reference

_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')


@decodable
class _TokenResponse(Struct, frozen=True):
    """A token service sends `token`, an OAuth2 server `access_token`."""

    token: str | None = None
    access_token: str | None = None


def authorization(
    client: httpx2.Client, challenge: str, scopes: str, credentials: Credentials, reference: Reference
) -> str:
    """The Authorization header for `scopes` (separated by spaces). Raises RegistryError when access is denied."""
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic":
        if not credentials.username:
            raise _access_denied(reference, "it asks for a user name and a password, and none are configured")
        return _basic_header(credentials)
    if scheme.lower() != "bearer":
        raise _access_denied(reference, f"it asks for an unsupported kind of authorization: '{challenge[:80]}'")
    parameters = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
    realm = httpx2.URL(parameters.get("realm", ""))
    if realm.scheme not in {"http", "https"}:
        raise _access_denied(reference, f"its token service has an invalid address: '{str(realm)[:80]}'")
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
        answer = client.post(realm, data=form)
    else:
        query = {"service": service, "scope": scopes.split()}
        headers = {"Authorization": _basic_header(credentials)} if credentials else {}
        answer = client.get(realm, params=realm.params.merge(httpx2.QueryParams(query)), headers=headers)
    if answer.status_code >= 400:
        raise _access_denied(reference, f"its token service refused: {error_summary(answer)}", answer.status_code)
    try:
        content = msgspec.json.decode(answer.content, type=_TokenResponse)
    except (msgspec.DecodeError, UnicodeDecodeError):
        content = _TokenResponse()
    token = content.token or content.access_token
    if not token:
        raise _access_denied(reference, "its token service returned no token")
    return token


def _basic_header(credentials: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def _access_denied(reference: Reference, reason: str, status: int = 401) -> RegistryError:
    hint = "log in (docker login, skopeo login), or set REGISTRY_AUTH_FILE to the file with the credentials"
    return RegistryError(f"the registry denied access: {reason}", status=status, where=reference.name, hint=hint)
