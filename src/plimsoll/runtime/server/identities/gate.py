"""Asks each request who sends it, and whether she may: the same for all fronts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from plimsoll.runtime.server.identities.bearers import AdminBearer, Bearers, TokenBearers
from plimsoll.runtime.server.identities.callers import ANYBODY, Caller, KeysNeeded, Role, present
from plimsoll.runtime.server.identities.limits import Limiter, Place
from plimsoll.runtime.server.identities.settings import AuthSettings
from plimsoll.runtime.server.refusals import Forbidden, Unauthenticated

LOOK_EVERY = 1.0
"""Seconds until a token that was revoked is refused."""
MOST_RECENT = 1024
"""Callers who are known by their header alone until files and keys are looked at again."""
LONGEST_TOKEN = 16 << 10
"""Characters of a token: that of an issuer names groups."""


class Gate:
    """Lets the callers of a server in."""

    def __init__(self, bearers: Sequence[Bearers], limiter: Limiter | None = None) -> None:
        self._bearers = tuple(bearers)
        self._limiter = limiter
        self._recent: dict[str, Caller] = {}

    def enter(self, headers: Mapping[str, str], role: Role | None, size: int = 0) -> Place | None:
        """Settle who sends a request with these headers, and count it.

        A request without a role is let in without a question. The place is to be left when the request has ended.
        Raises Unauthenticated, Forbidden, TooMany, KeysNeeded.
        """
        if role is None:
            present.set(ANYBODY)
            return None
        present.set(ANYBODY)
        caller = self.caller(headers)
        present.set(caller)
        if not caller.may(role):
            has = ", ".join(sorted(caller.roles)) or "none"
            raise Forbidden(f"this needs the role {role}, and the roles of the caller are: {has}")
        return self._limiter.enter(caller.name, size) if self._limiter is not None else None

    async def enter_later(self, headers: Mapping[str, str], role: Role | None, size: int = 0) -> Place | None:
        """As `enter`, after the keys of issuers were fetched again where that may help."""
        try:
            return self.enter(headers, role, size)
        except KeysNeeded:
            for bearers in self._bearers:
                await bearers.fetch()
        try:
            return self.enter(headers, role, size)
        except KeysNeeded:
            raise Unauthenticated("the key of the token is none of its issuer's") from None

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Who sends a request. Raises Unauthenticated, KeysNeeded; it says nothing of the tokens that there are."""
        written = headers.get("authorization")
        known = self._recent.get(written or "")
        if known is not None:
            return known
        if written is None:
            raise Unauthenticated("this server answers known callers: send 'Authorization: Bearer TOKEN'")
        scheme, _, token = written.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > LONGEST_TOKEN or not token.isascii():
            raise Unauthenticated("the header Authorization has no token: send 'Authorization: Bearer TOKEN'")
        for bearers in self._bearers:
            caller = bearers.caller(token)
            if caller is not None:
                if len(self._recent) >= MOST_RECENT:
                    self._recent.clear()
                self._recent[written] = caller
                return caller
        raise Unauthenticated("the token is not known here, or has ended")

    async def keep(self) -> None:
        """Read again what changes, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """Read again what has changed."""
        for bearers in self._bearers:
            bearers.look()
        self._recent = {}


def gate_of(settings: AuthSettings | None, admin_token_file: Path | None) -> Gate | None:
    """The gate of a server; `None` for one that answers everybody. Raises TargetError, MissingExtra."""
    if settings is None:
        return None
    bearers: list[Bearers] = []
    if settings.tokens:
        bearers.append(TokenBearers(Path(settings.tokens)))
    if settings.jwt is not None:
        from plimsoll.runtime.server.identities.json_web_tokens import jwt_bearers

        bearers.append(jwt_bearers(settings.jwt))
    if admin_token_file is not None:
        bearers.append(AdminBearer(admin_token_file))
    return Gate(bearers, Limiter(settings.limits, time.monotonic) if settings.limits.any else None)
