"""JSON Web Tokens of one issuer: what is asked of them before they say who somebody is.

The header of a token is written by who sends it. It chooses among the issuer's keys by `kid` and nothing else: the
algorithm has to be one that the file allows and that the key is for, and keys in the header (`jwk`, `jku`, `x5c`) are
not looked at. Sources: RFC 7519, RFC 8725 (best practices), OpenID Connect Core 1.0.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from plimsoll.errors import MissingExtra
from plimsoll.runtime.server.identities.callers import ROLES, Caller, KeysNeeded
from plimsoll.runtime.server.identities.issuer_keys import IssuerKeys, Key, source_of
from plimsoll.runtime.server.identities.settings import JwtSettings
from plimsoll.runtime.server.refusals import NotReady, Unauthenticated

try:
    import jwt
except ImportError:
    raise MissingExtra("jwt", "callers with JSON Web Tokens") from None

MOST_KNOWN = 4096
"""Tokens that are remembered, so that each is verified once."""
LONGEST_NAME = 255
"""Characters of a subject. Source: OpenID Connect Core, `sub`."""
REFUSED_HEADERS = frozenset({"crit", "b64", "zip", "enc"})
"""What changes how a token is to be read."""
Claims = Mapping[str, Any]
"""The JSON object of a token, whose values may be anything."""


class _Known(Struct, frozen=True, gc=False):
    caller: Caller
    until: float
    keys: int


class JwtBearers:
    """The callers with tokens of one issuer."""

    def __init__(self, settings: JwtSettings, keys: IssuerKeys) -> None:
        self._settings = settings
        self._keys = keys
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    def caller(self, token: str) -> Caller | None:
        """Who a token says that its sender is; `None` for what is no JSON Web Token.

        Raises Unauthenticated, NotReady while there are no keys, KeysNeeded.
        """
        if token.count(".") != 2:
            return None
        mark = hashlib.sha256(token.encode()).digest()
        known = self._known.get(mark)
        if known is not None and known.keys == self._keys.generation:
            if time.time() < known.until:
                return known.caller
            raise Unauthenticated("the token has expired")
        claims = self._verified(token)
        caller = Caller(f"jwt:{_subject(claims)}", roles_in(claims, self._settings.roles))
        self._known[mark] = _Known(caller, claims["exp"] + self._settings.leeway, self._keys.generation)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return caller

    def look(self) -> None:
        """Take the issuer's present keys."""
        self._keys.look()

    async def fetch(self, token: str) -> None:
        """Fetch the issuer's keys again, unless that was done just now."""
        await self._keys.fetch()

    def _verified(self, token: str) -> Claims:
        settings = self._settings
        if reason := self._keys.problem:
            raise NotReady(f"tokens cannot be verified: {reason}")
        try:
            key = self._key(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key.public,
                algorithms=[each for each in key.algorithms if each in settings.algorithms],
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=settings.leeway,
                options={"require": ["exp", "iss", "aud", "sub"], "verify_iat": True, "verify_nbf": True},
            )
            # A whole number may be larger than any time.
            return {**claims, "exp": float(claims["exp"])}
        except jwt.ExpiredSignatureError as problem:
            raise Unauthenticated("the token has expired") from problem
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as problem:
            # The library's own words name what the token lacks, and quote nothing of it.
            raise Unauthenticated(f"the token is not valid: {type(problem).__name__}") from problem

    def _key(self, header: Claims) -> Key:
        """The key that a header names. Raises Unauthenticated, KeysNeeded."""
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in self._settings.algorithms or REFUSED_HEADERS & header.keys():
            raise Unauthenticated("the token is not valid: its algorithm or a header is not allowed here")
        if kid is None:
            fitting = [key for key in self._keys.keys if algorithm in key.algorithms]
            if len(fitting) == 1:
                return fitting[0]
            raise Unauthenticated("the token is not valid: it does not name its key")
        for key in self._keys.keys:
            if key.id == kid and algorithm in key.algorithms:
                return key
        if self._keys.may_be_new:
            raise KeysNeeded
        raise Unauthenticated("the key of the token is none of its issuer's")


def jwt_bearers(settings: JwtSettings) -> JwtBearers:
    """The callers of an issuer. Raises TargetError for a file of keys that cannot be read."""
    return JwtBearers(settings, source_of(settings))


def roles_in(claims: Claims, name: str) -> frozenset[str]:
    """The roles of a token that mean something here; a claim in an object is named with dots: realm_access.roles."""
    value: object = claims.get(name)
    if name not in claims:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return frozenset(role for role in ROLES if role in words)


def _subject(claims: Claims) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_NAME or not subject.isprintable():
        raise Unauthenticated("the token is not valid: its subject is no name")
    return subject
