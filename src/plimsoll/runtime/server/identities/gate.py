"""Asks each request who sends it, and whether she may: the same for all fronts.

A token that is sent is what counts; without one, the certificate that the connection was opened with.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.runtime.server.identities.bearers import AdminBearer, Bearers, TokenBearers
from plimsoll.runtime.server.identities.callers import ANYBODY, Caller, KeysNeeded, Role, Shown, present
from plimsoll.runtime.server.identities.limits import MOST_CALLERS, Limiter, Place
from plimsoll.runtime.server.identities.settings import AuthSettings
from plimsoll.runtime.server.identities.shares import Share, Shares
from plimsoll.runtime.server.refusals import Forbidden, Refusal, Unauthenticated

if TYPE_CHECKING:
    from plimsoll.runtime.server.identities.certificates import Certificates
    from plimsoll.runtime.server.tls.contexts import ServerTls

LOOK_EVERY = 1.0
"""Seconds until a token that was revoked is refused."""
MOST_RECENT = 1024
"""Callers who are known by their header alone until files and keys are looked at again."""
LONGEST_TOKEN = 16 << 10
"""Characters of a token: that of an issuer names groups."""


class Gate:
    """Lets the callers of a server in."""

    def __init__(
        self,
        bearers: Sequence[Bearers],
        limiter: Limiter | None = None,
        certificates: Certificates | None = None,
        anybody: Sequence[Role] = (),
        shares: Shares | None = None,
    ) -> None:
        """`anybody` are roles that nobody is asked for, `shares` what callers may hold of the memory."""
        self._shares = shares
        self._anybody = frozenset(anybody)
        self._bearers = tuple(bearers)
        self._certificates = certificates
        self._limiter = limiter
        self._recent: dict[str, Caller] = {}

    def enter(
        self, headers: Mapping[str, str], role: Role | None, size: int = 0, shown: Shown | None = None
    ) -> Place | None:
        """Settle who sends a request with these headers, and count it. `shown` is the connection's certificate.

        A request without a role, or with one for anybody, is let in without a question. The place is to be left when
        the request has ended. Raises Unauthenticated, Forbidden, TooMany, NotReady, KeysNeeded.
        """
        if role is None or role in self._anybody:
            present.set(ANYBODY)
            return None
        present.set(ANYBODY)
        caller = self.caller(headers, shown)
        present.set(caller)
        if not caller.may(role):
            has = ", ".join(sorted(caller.roles)) or "none"
            raise Forbidden(f"this needs the role {role}, and the roles of the caller are: {has}")
        return self._limiter.enter(caller.name, size) if self._limiter is not None else None

    async def enter_later(
        self, headers: Mapping[str, str], role: Role | None, size: int = 0, shown: Shown | None = None
    ) -> Place | None:
        """As `enter`, after the keys of issuers were fetched again where that may help."""
        try:
            return self.enter(headers, role, size, shown)
        except KeysNeeded:
            token = headers.get("authorization", "").partition(" ")[2].strip()
            for bearers in self._bearers:
                await bearers.fetch(token)
        try:
            return self.enter(headers, role, size, shown)
        except KeysNeeded:
            raise Unauthenticated("the key of the token is none of its issuer's") from None

    def caller(self, headers: Mapping[str, str], shown: Shown | None = None) -> Caller:
        """Who sends a request. Raises Unauthenticated, KeysNeeded; it says nothing of the tokens that there are."""
        written = headers.get("authorization")
        known = self._recent.get(written or "")
        if known is not None:
            return known
        if written is None:
            if self._certificates is None:
                raise Unauthenticated("this server answers known callers: send 'Authorization: Bearer TOKEN'")
            if shown is None:
                raise Unauthenticated("this server answers known callers: show a certificate, or send a token")
            return self._certificates.caller(shown)
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

    def share(self, headers: Mapping[str, str], shown: Shown | None = None) -> Share | None:
        """What the sender of a request may hold of the memory; None without a limit, and while nobody knows her."""
        if self._shares is None:
            return None
        try:
            return self.share_of(self.caller(headers, shown))
        except (Refusal, KeysNeeded):
            return None

    def share_of(self, caller: Caller) -> Share | None:
        """What a caller may hold of the memory; None without a limit."""
        return self._shares.of(caller.name) if self._shares is not None and caller.name else None

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


def gate_of(settings: AuthSettings | None, admin_token_file: Path | None, tls: ServerTls | None = None) -> Gate | None:
    """The gate of a server; `None` for one that answers everybody. Raises TargetError, MissingExtra."""
    by_certificate = tls is not None and tls.knows_clients
    if settings is None and not by_certificate:
        return None
    settings = settings or AuthSettings()
    certificates = None
    if tls is not None and by_certificate:
        from plimsoll.runtime.server.identities.certificates import Certificates

        certificates = Certificates(tls, settings.certificates)
    bearers: list[Bearers] = []
    if settings.tokens:
        bearers.append(TokenBearers(Path(settings.tokens)))
    if settings.jwt is not None:
        from plimsoll.runtime.server.identities.json_web_tokens import jwt_bearers

        bearers.append(jwt_bearers(settings.jwt))
    if admin_token_file is not None:
        bearers.append(AdminBearer(admin_token_file))
    if settings.kubernetes is not None:
        from plimsoll.runtime.server.identities.cluster_tokens import cluster_bearers

        # The last one, as it asks elsewhere about each token that nobody else knows.
        bearers.append(cluster_bearers(settings.kubernetes))
    limiter = Limiter(settings.limits, time.monotonic) if settings.limits.any else None
    shares = Shares(settings.limits.memory, MOST_CALLERS) if settings.limits.memory else None
    return Gate(bearers, limiter, certificates, settings.anybody, shares)
