"""What a server is told of its callers, as one option of its command line. Planning imports this module."""

from __future__ import annotations

import urllib.parse
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import TargetError
from plimsoll.runtime.server.identities.callers import Role
from plimsoll.runtime.server.identities.cluster_settings import ClusterSettings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Algorithms of signatures by private keys. None of them is by a secret that both sides know."""
OPTION = "--auth"


class JwtSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose JSON Web Tokens are taken.

    `jwks` is the URL or the file of the issuer's keys; empty to ask the issuer (OpenID Connect Discovery). `roles` is
    the claim with the roles, `keep` the seconds for which keys stay while the issuer does not answer.
    """

    issuer: str
    audience: str
    jwks: str = ""
    roles: str = "roles"
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    leeway: float = 30.0
    keep: float = 24 * 3600.0


class CallerLimits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one caller may ask of one process: requests and bytes in a second, and requests at once. 0: no limit.

    `memory` is in bytes of all its requests under way.
    """

    rate: float = 0.0
    concurrent: int = 0
    bytes: float = 0.0
    memory: int = 0

    @property
    def any(self) -> bool:
        """Whether there is a limit on what it sends."""
        return bool(self.rate or self.concurrent or self.bytes)


@decodable
class AuthSettings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How callers prove who they are. `tokens` is the file with the digests of bearer tokens.

    `certificates` are roles by the names in the certificates that callers show. `anybody` are roles that nobody is
    asked for, where something else says who reaches them.
    """

    tokens: str = ""
    jwt: JwtSettings | None = None
    certificates: dict[str, tuple[Role, ...]] = {}
    kubernetes: ClusterSettings | None = None
    anybody: tuple[Role, ...] = ()
    limits: CallerLimits = CallerLimits()


def in_directory(settings: AuthSettings, directory: Path) -> AuthSettings:
    """The settings with the paths of files below a directory; absolute ones stay."""
    jwt = settings.jwt
    if jwt is not None and jwt.jwks and "://" not in jwt.jwks:
        jwt = msgspec.structs.replace(jwt, jwks=str(directory / jwt.jwks))
    tokens = str(directory / settings.tokens) if settings.tokens else ""
    return msgspec.structs.replace(settings, tokens=tokens, jwt=jwt)


def read_settings(text: str, *, by_certificate: bool = False) -> AuthSettings:
    """The settings in the option's JSON, for a server that may know its callers by their certificates.

    Raises TargetError.
    """
    try:
        settings = msgspec.json.decode(text, type=AuthSettings)
    except UNREADABLE as problem:
        raise TargetError(f"{OPTION} is not what a server takes: {problem}") from problem
    named = settings.tokens or settings.jwt is not None or settings.kubernetes is not None
    if not named and not by_certificate:
        raise TargetError(f"{OPTION} names neither tokens nor jwt", hint='such as {"tokens": "tokens.json"}')
    if settings.certificates and not by_certificate:
        raise TargetError(f"{OPTION} names certificates, and --tls no authority of theirs in clients")
    if settings.jwt is not None and (wrong := jwt_problem(settings.jwt)):
        raise TargetError(f"{OPTION}: {wrong}")
    return settings


def jwt_problem(jwt: JwtSettings) -> str:
    """What is wrong with the settings; empty when nothing is."""
    unknown = [each for each in jwt.algorithms if each not in ALGORITHMS]
    if unknown or not jwt.algorithms:
        return f"the algorithm '{(unknown or [''])[0][:20]}' is not one of {', '.join(ALGORITHMS)}"
    addresses = {"issuer": jwt.issuer} if not jwt.jwks else {"jwks": jwt.jwks} if "://" in jwt.jwks else {}
    for word, address in addresses.items():
        if not is_safe(address):
            return f"{word} '{address[:200]}' is no https address: keys that others can change on the way are no keys"
    return ""


def is_safe(address: str) -> bool:
    """Whether what lies at a URL reaches this machine unchanged."""
    try:
        parts = urllib.parse.urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    local = host in {"localhost", "::1"} or host.startswith("127.")
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and local))
