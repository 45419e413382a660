"""Who may ask a service: what the file says of it, checked, and as its server takes it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.paths import require_readable
from plimsoll.application.scalars import memory_in_bytes
from plimsoll.application.workspace import NamedSource, Workspace
from plimsoll.errors import PlimsollError
from plimsoll.kinds.service_settings import Auth, CallerLimit, Kubernetes, Tls
from plimsoll.planning.steps import Ingredient
from plimsoll.runtime.server.identities.cluster_settings import DEFAULT_ROLES, ClusterSettings, Right
from plimsoll.runtime.server.identities.settings import AuthSettings, CallerLimits, JwtSettings, jwt_problem
from plimsoll.runtime.server.identities.token_file import read_token_file
from plimsoll.runtime.server.tls.settings import TlsSettings, in_directory

if TYPE_CHECKING:
    from plimsoll.kinds.service import Service


def check_callers(file: ApplicationFile, service: Service, *at: str | int) -> None:
    """Raise FileError for an address of others' machines without a word of who may ask, and for what is no answer."""
    auth = service.auth
    by_certificate = service.tls is not None and service.tls.clients is not None
    if service.tls is not None:
        _check_tls(file, service.tls, *at, "tls")
    if auth is None and not by_certificate and not is_local(service.host):
        hint = "say who may ask with auth: {tokens: tokens.json}, or auth: none for everybody who reaches it"
        raise file.error(f"host {service.host} lets other machines ask, and the service asks nobody who they are",
                         hint, *at, "host")  # fmt: skip
    if auth == "none" and by_certificate:
        hint = "leave auth out, or leave tls.clients out"
        raise file.error("auth: none lets everybody ask, and tls.clients says that callers show certificates",
                         hint, *at, "auth")  # fmt: skip
    if not isinstance(auth, Auth):
        return
    if auth.certificates and not by_certificate:
        hint = "name the authority with tls: {certificate: …, key: …, clients: ca.pem}"
        raise file.error("auth names certificates, and the service knows no authority of theirs",
                         hint, *at, "auth", "certificates")  # fmt: skip
    if auth.jwt is not None and auth.kubernetes is not None:
        hint = "leave one of them out: an issuer of the cluster can be named by jwt too"
        raise file.error("jwt and kubernetes both judge JSON Web Tokens", hint, *at, "auth", "kubernetes")
    if auth.tokens is None and auth.jwt is None and auth.kubernetes is None and not by_certificate:
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


def _check_tls(file: ApplicationFile, tls: Tls, *at: str | int) -> None:
    """Raise FileError for files with which no server could open a connection."""
    words = ("certificate", "key", "clients", "revoked")
    named = {word: path for word in words if (path := getattr(tls, word)) is not None}
    for word, path in named.items():
        require_readable(file, f"the file of tls.{word}", path, *at, word)
    if tls.revoked is not None and tls.clients is None:
        raise file.error("revoked is for the certificates of clients", "name their authority", *at, "revoked")
    # Only a service with certificates pays for the library that reads them.
    from plimsoll.runtime.server.tls.contexts import ServerTls

    try:
        ServerTls(in_directory(_tls(tls), file.directory))
    except PlimsollError as error:
        paths = {word: str(file.directory / path) for word, path in named.items()}
        word = next((word for word, path in paths.items() if path == error.where), "certificate")
        raise file.error(error.message, error.hint or "see docs/serving.md", *at, word) from error


def tls_of(service: Service) -> TlsSettings | None:
    """What the server is told of its certificate; `None` for plain connections. Paths are those of the file."""
    return _tls(service.tls) if service.tls is not None else None


def _tls(tls: Tls) -> TlsSettings:
    return TlsSettings(certificate=tls.certificate, key=tls.key, clients=tls.clients or "", revoked=tls.revoked or "")


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
        kubernetes=_kubernetes(auth.kubernetes) if auth.kubernetes is not None else None,
        certificates=auth.certificates,
        limits=CallerLimits(
            rate=limits.rate or 0.0,
            concurrent=limits.concurrent or 0,
            bytes=float(memory_in_bytes(limits.bytes)) if limits.bytes else 0.0,
            memory=memory_in_bytes(limits.memory) if limits.memory else 0,
        ),
    )


def files_of(service: Service, name: str, place: tuple[str | int, ...]) -> Iterator[NamedSource]:
    """The files by which callers are known: where a service is elsewhere, a change of one is one of the service."""
    if not isinstance(service.auth, Auth):
        return
    tokens, jwt = service.auth.tokens, service.auth.jwt
    if tokens is not None:
        yield NamedSource(name=_source(name, "tokens"), source=tokens, sha256=None, at=(*place, "auth", "tokens"))
    if jwt is not None and jwt.jwks is not None and "://" not in jwt.jwks:
        at = (*place, "auth", "jwt", "jwks")
        yield NamedSource(name=_source(name, "jwks"), source=jwt.jwks, sha256=None, at=at)


def ingredients_of(service: str, workspace: Workspace) -> Iterable[Ingredient]:
    """What these files say, for a target to which they have to be brought."""
    for word in ("tokens", "jwks"):
        if digest := workspace.sources.get(_source(service, word)):
            yield Ingredient(kind="input", name=word, digest=digest)


def _source(service: str, word: str) -> str:
    return f"services/{service}/{word}"


def _kubernetes(kubernetes: Kubernetes) -> ClusterSettings:
    """Where the service is, its target knows."""
    given = {
        role: Right(verb=each.verb, resource=each.resource, group=each.group, name=each.name or "")
        for role, each in kubernetes.roles.items()
    }
    return ClusterSettings(namespace="", roles=given or DEFAULT_ROLES, audience=kubernetes.audience or "")


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
