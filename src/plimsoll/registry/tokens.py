"""What a registry's 401 demands, answered: basic authorization, or a bearer token from its token service.

Sources: RFC 7235 and 7617; distribution.github.io, "Token Authentication Specification" and "OAuth2".
"""

from __future__ import annotations

import base64
import re
from typing import Any

import httpx2
import msgspec

from plimsoll.registry.credentials import Credentials
from plimsoll.registry.problems import RegistryError, said
from plimsoll.registry.references import Reference

_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')


def authorization(
    client: httpx2.Client, challenge: str, scopes: str, credentials: Credentials, reference: Reference
) -> str:
    """The Authorization header for `scopes` (separated by spaces). Raises RegistryError when access is not given."""
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic":
        if not credentials.username:
            raise _denied(reference, "it wants a name and a password, and none are known here")
        return _basic(credentials)
    if scheme.lower() != "bearer":
        raise _denied(reference, f"it wants an authorization that is not known here: '{challenge[:80]}'")
    parameters = {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
    realm = httpx2.URL(parameters.get("realm", ""))
    if realm.scheme not in {"http", "https"}:
        raise _denied(reference, f"its token service has no usable address: '{str(realm)[:80]}'")
    return f"Bearer {_token(client, realm, parameters.get('service', ''), scopes, credentials, reference)}"


def _token(
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
        headers = {"Authorization": _basic(credentials)} if credentials else {}
        answer = client.get(realm, params=realm.params.merge(httpx2.QueryParams(query)), headers=headers)
    if answer.status_code >= 400:
        raise _denied(reference, f"its token service refuses: {said(answer)}", answer.status_code)
    try:
        content = msgspec.json.decode(answer.content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        content = {}
    token = content.get("token") or content.get("access_token")
    if not token:
        raise _denied(reference, "its token service gave no token")
    return str(token)


def _basic(credentials: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def _denied(reference: Reference, reason: str, status: int = 401) -> RegistryError:
    hint = "log in (docker login, skopeo login), or name the file with the credentials in REGISTRY_AUTH_FILE"
    return RegistryError(f"the registry gives no access: {reason}", status=status, where=reference.name, hint=hint)
