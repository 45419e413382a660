"""Keys for people and for other programs: what each is trusted for, and how the signing key is kept."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from plimsoll.errors import ModelRefused, PlimsollError

if TYPE_CHECKING:
    from plimsoll.signing.conditions import Conditions
    from plimsoll.signing.keys import KeyRing

SOON = timedelta(days=30)


class Row(Struct, frozen=True, kw_only=True):
    """One key. `state` is signing, trusted, retired, expired, revoked or unreadable."""

    key: str
    kind: str
    state: str
    told: str
    scopes: tuple[str, ...] = ()
    expires: datetime | None = None
    conditions: dict[str, object] = {}


def rows_of(keys: KeyRing) -> list[Row]:
    """All keys of a ring, the signing key first."""
    own = keys.own_id()
    ids = {path.stem for place in (keys.trusted, keys.revoked) for path in place.glob("*.json")}
    return [row_of(keys, each, own) for each in sorted(ids, key=lambda each: (each != own, each))]


def row_of(keys: KeyRing, key_id: str, own: str) -> Row:
    """One key of a ring."""
    try:
        conditions = keys.conditions(key_id)
        kind = str(keys.public(key_id).keytype)
    except ModelRefused as error:
        if (keys.revoked / f"{key_id}.json").exists() and not keys.public_exists(key_id):
            return Row(key=key_id, kind="", state="revoked", told="its file of trusted/ is not here")
        return Row(key=key_id, kind="", state="unreadable", told=error.message)
    state, told = _state(conditions, is_own=key_id == own)
    described: dict[str, object] = msgspec.to_builtins(conditions)
    if conditions.retired is not None:
        described["retired"] = {
            "at": conditions.retired.at,
            "successor": conditions.retired.successor,
            "signed": len(conditions.retired.signed),
        }
    return Row(
        key=key_id,
        kind=kind,
        state=state,
        told=told,
        scopes=conditions.scopes,
        expires=conditions.expires,
        conditions=described,
    )


def _state(conditions: Conditions, *, is_own: bool) -> tuple[str, str]:
    now = datetime.now(UTC)
    if conditions.revoked is not None:
        return "revoked", conditions.revoked.words()
    if conditions.retired is not None:
        retired = conditions.retired
        successor = f", its successor is {retired.successor[:16]}" if retired.successor else ""
        told = f"since {retired.at.astimezone(UTC):%Y-%m-%d}{successor}; {len(retired.signed)} statements of it count"
        return "retired", told
    if conditions.expires is not None and now >= conditions.expires:
        return "expired", f"on {conditions.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC: plimsoll key rotate"
    told = ""
    if conditions.expires is not None:
        soon = ": rotate it soon" if conditions.expires - now < SOON else ""
        told = f"expires on {conditions.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC{soon}"
    return ("signing" if is_own else "trusted"), told


class Keeping(Struct, frozen=True, kw_only=True):
    """How the signing key is kept: `held`, `encrypted`, `plain`, `exposed` or `none`; what a step could do with it."""

    how: str
    told: str
    steps: str


def keeping_of(keys: KeyRing) -> Keeping:
    """How the private half is kept, and what a step of a run, which is a process of the same user, could do with it."""
    from plimsoll.signing.private_keys import is_encrypted

    try:
        socket = keys.holder()
        if socket is not None:
            return _held(keys, str(socket))
        if uri := keys.token():
            told = f"in a token, which gives it to nobody: {uri.partition('?')[0][:200]}"
            steps = "a step can have the token sign if it finds the PIN; to keep that away: plimsoll key hold"
            return Keeping(how="token", told=told, steps=steps)
        about = keys.private.stat()
        encrypted = is_encrypted(keys.private.read_bytes())
    except FileNotFoundError:
        return Keeping(how="none", told="there is none yet; the first signature makes it", steps="")
    except (PlimsollError, OSError) as error:
        told = error.message if isinstance(error, PlimsollError) else str(error.strerror)
        return Keeping(how="unknown", told=told, steps="")
    if stat.S_IMODE(about.st_mode) & 0o077:
        told = f"others may read its file (mode {stat.S_IMODE(about.st_mode):04o}): chmod 600 {keys.private}"
        return Keeping(how="exposed", told=told, steps=_PLAIN_STEPS)
    if encrypted:
        told = "its file is encrypted; PLIMSOLL_KEY_PASSWORD has its password, or a holder asks for it"
        steps = "a step can read the encrypted file, and look for its password in memory; safer: plimsoll key hold"
        return Keeping(how="encrypted", told=told, steps=steps)
    return Keeping(how="plain", told=f"a file of its owner alone, {keys.private}", steps=_PLAIN_STEPS)


def _held(keys: KeyRing, socket: str) -> Keeping:
    from pathlib import Path

    from plimsoll.signing.holder.client import require_held
    from plimsoll.signing.private_keys import is_encrypted

    try:
        require_held(Path(socket), keys.own_id())
    except PlimsollError as error:
        return Keeping(how="held", told=error.on_one_line(), steps="nothing can be signed until then")
    told = f"a process holds it, at {socket}"
    other = Path(socket).stat().st_uid not in (os.getuid(), 0)
    if os.getuid() == 0:
        steps = "steps run as root, from whom no process can hide: run as another user, or steps with isolation"
    elif other:
        steps = "a step can neither read it nor have it sign: the holder is another user's"
    elif keys.private.exists() and not is_encrypted(keys.private.read_bytes()):
        steps = f"a step can read the file {keys.private}, which is not encrypted: plimsoll key encrypt"
    else:
        steps = (
            "a step can neither read it nor have it sign; it can still alter what else is yours, plimsoll itself too"
        )
    return Keeping(how="held", told=told, steps=steps)


_PLAIN_STEPS = (
    "a step without isolation is a process of yours and can read it; to keep it away: plimsoll key encrypt, and "
    "plimsoll key hold"
)
