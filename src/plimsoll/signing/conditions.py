"""What a trusted key is trusted for: until when, for what, and since when no more. Pure.

The conditions lie in the file of the key, beside the key itself, so that whoever is given the file is given them too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, get_args

from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.signing.claims import Claim

Reason = Literal["compromised", "lost", "superseded", "left", "unspecified"]
"""Why a key is revoked."""
REASONS: tuple[str, ...] = get_args(Reason)


class Retired(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The key has a successor. `signed` are the digests of what it had signed by then; nothing else of it counts."""

    at: datetime
    successor: str = ""
    signed: tuple[str, ...] = ()


class Revoked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing that the key has signed counts any more."""

    at: datetime
    reason: Reason = "unspecified"
    note: str = ""
    by: str = ""

    def words(self) -> str:
        """When and why."""
        note = f": {self.note}" if self.note else ""
        return f"revoked on {self.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({self.reason}{note})"


@decodable
class Conditions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The conditions of one key; a key without any is trusted for everything, for ever."""

    expires: datetime | None = None
    scopes: tuple[str, ...] = ()
    retired: Retired | None = None
    revoked: Revoked | None = None

    def refusal(self, claim: Claim, key_id: str, now: datetime) -> tuple[str, str]:
        """Why a statement with a valid signature does not count, and what to do; empty when it counts."""
        key = f"the key {key_id[:16]}"
        if self.revoked is not None:
            hint = "have its owner sign it with their present key, or name a version that a trusted key has signed"
            return f"{key} that signed it was {self.revoked.words()}", hint
        if not claim.is_within(self.scopes):
            limits = ", ".join(self.scopes)
            return (
                f"{key} that signed it is trusted for {limits}, and this is {claim.words()}",
                f"have somebody sign it who may, or trust the key for more: plimsoll key limit {key_id[:16]} --scope …",
            )
        if self.retired is not None:
            if claim.digest in self.retired.signed:
                return "", ""
            at = f"{self.retired.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            return f"{key} that signed it was retired on {at}, and this is none of what it had signed by then", _ANEW
        if self.expires is not None and now >= self.expires:
            at = f"{self.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            return f"{key} that signed it expired on {at}", "its owner rotates it (plimsoll key rotate), and signs anew"
        return "", ""

    def may_not_sign(self, claim: Claim, now: datetime) -> str:
        """Why the owner of the key should not sign a statement with it; empty when they may."""
        if self.revoked is not None:
            return f"it was {self.revoked.words()}"
        if self.retired is not None:
            return "it was retired: start its holder again, or end the rotation that was broken off"
        if self.expires is not None and now >= self.expires:
            return f"it expired on {self.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if not claim.is_within(self.scopes):
            return f"it is limited to {', '.join(self.scopes)}, and this is {claim.words()}"
        return ""


def strictest(found: Iterable[Conditions]) -> Conditions:
    """All conditions at once, where a key is given several times: no copy of its file takes a condition away."""
    every = list(found)
    revoked = [each.revoked for each in every if each.revoked is not None]
    retired = [each.retired for each in every if each.retired is not None]
    limited = [each.scopes for each in every if each.scopes]
    return Conditions(
        expires=min((each.expires for each in every if each.expires is not None), default=None),
        scopes=_common(limited),
        retired=min(retired, key=lambda each: each.at) if retired else None,
        revoked=min(revoked, key=lambda each: each.at) if revoked else None,
    )


def _common(limited: list[tuple[str, ...]]) -> tuple[str, ...]:
    if not limited:
        return ()
    # Without a scope in common, nothing is left: no scopes at all would mean everything.
    return tuple(scope for scope in limited[0] if all(scope in each for each in limited)) or ("nothing",)


_ANEW = (
    "have its owner sign it with their present key, or name a version that a trusted key has signed; for what you know "
    "to be older than the rotation: plimsoll key vouch"
)
