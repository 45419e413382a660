"""Who may ask a service: what the file says of it, checked, and as its server takes it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.paths import require_readable
from plimsoll.application.scalars import memory_in_bytes
from plimsoll.errors import PlimsollError
from plimsoll.kinds.service_settings import Auth, CallerLimit
from plimsoll.runtime.server.identities.settings import AuthSettings, CallerLimits, JwtSettings, jwt_problem
from plimsoll.runtime.server.identities.token_file import read_token_file

if TYPE_CHECKING:
    from plimsoll.kinds.service import Service


def check_callers(file: ApplicationFile, service: Service, *at: str | int) -> None:
    """Raise FileError for an address of others' machines without a word of who may ask, and for what is no answer."""
    auth = service.auth
    if auth is None and not is_local(service.host):
        hint = "say who may ask with auth: {tokens: tokens.json}, or auth: none for everybody who reaches it"
        raise file.error(f"host {service.host} lets other machines ask, and the service asks nobody who they are",
                         hint, *at, "host")  # fmt: skip
    if not isinstance(auth, Auth):
        return
    if auth.tokens is None and auth.jwt is None:
        hint = (
            "add `tokens` or `jwt`: limits are by caller" if auth.limits != CallerLimit() else "add `tokens` or `jwt`"
        )
        raise file.error("auth does not say how callers are known", hint, *at, "auth")
    if auth.tokens is not None:
        require_readable(file, "the file of tokens", auth.tokens, *at, "auth", "tokens")
        try:
            read_token_file(file.directory / auth.tokens)
        except PlimsollError as error:
            raise file.error(error.message, error.hint or "plimsoll token writes it", *at, "auth", "tokens") from error
    if auth.jwt is not None:
        jwks = auth.jwt.jwks
        if jwks is not None and "://" not in jwks:
            require_readable(file, "the file of keys", jwks, *at, "auth", "jwt", "jwks")
        settings = _jwt(auth)
        if settings is not None and (problem := jwt_problem(settings)):
            raise file.error(problem, "see docs/serving.md", *at, "auth", "jwt")


def is_local(host: str) -> bool:
    """Whether an address to listen on is for this machine alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def settings_of(service: Service) -> AuthSettings | None:
    """What the server is told; `None` for a service that answers everybody. Paths are those of the file."""
    auth = service.auth
    if not isinstance(auth, Auth):
        return None
    limits = auth.limits
    return AuthSettings(
        tokens=auth.tokens or "",
        jwt=_jwt(auth),
        limits=CallerLimits(
            rate=limits.rate or 0.0,
            concurrent=limits.concurrent or 0,
            bytes=float(memory_in_bytes(limits.bytes)) if limits.bytes else 0.0,
        ),
    )


def _jwt(auth: Auth) -> JwtSettings | None:
    jwt = auth.jwt
    if jwt is None:
        return None
    return JwtSettings(
        issuer=jwt.issuer,
        audience=jwt.audience,
        jwks=jwt.jwks or "",
        roles=jwt.roles,
        algorithms=jwt.algorithms,
    )
