"""The file of bearer tokens, which holds their digests and never the tokens. The command line imports this module.

A token is 256 random bits, so that a plain SHA-256 of it cannot be searched for; a slow hash is for what people invent.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import TargetError
from plimsoll.files import replace_file
from plimsoll.locks import locked_file
from plimsoll.runtime.server.identities.callers import Role

PREFIX = "plimsoll_"
"""What every token begins with, so that scanners for secrets find one that was committed."""
LARGEST = 4 << 20
"""Bytes of a file, about 20,000 tokens."""
PATIENCE = 20.0
"""Seconds for which another's change of the file is waited for."""

TokenName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._@-]{0,126}[A-Za-z0-9])?$")]


class Token(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One token: whose it is, its digest, what it is for, and when it ends; `None` for never."""

    name: TokenName
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    roles: Annotated[tuple[Role, ...], Meta(min_length=1)]
    created: datetime | None = None
    expires: datetime | None = None

    def is_over(self, now: float) -> bool:
        """Whether it has ended at a time in seconds since the epoch."""
        return self.expires is not None and now >= self.expires.timestamp()


@decodable
class TokenFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All tokens of a file."""

    tokens: tuple[Token, ...] = ()


def digest(token: str) -> str:
    """The digest of a token, as the file holds it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def read_token_file(path: Path) -> TokenFile:
    """Raises TargetError for a file that is none, that everybody may write, or in which two tokens have one name."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        mode = path.stat().st_mode
    except OSError as error:
        hint = f"plimsoll token create NAME --file {path.name}"
        raise TargetError(f"the tokens cannot be read: {error.strerror}", where=str(path), hint=hint) from error
    if mode & stat.S_IWOTH:
        raise TargetError("everybody may write the tokens", where=str(path), hint=f"chmod o-w {path}")
    if len(content) > LARGEST:
        raise TargetError(f"the file of tokens has more than {LARGEST} bytes", where=str(path))
    try:
        found = msgspec.json.decode(content, type=TokenFile)
    except UNREADABLE as problem:
        raise TargetError(f"this is no file of tokens: {problem}", where=str(path)) from problem
    _check(found, path)
    return found


def _check(found: TokenFile, path: Path) -> None:
    seen: set[str] = set()
    for token in found.tokens:
        for value, what in (
            (token.name, f"two tokens are called '{token.name}'"),
            (token.sha256, "a token is in twice"),
        ):
            if value in seen:
                raise TargetError(f"{what}", where=str(path), hint="remove one of them")
            seen.add(value)
        if token.expires is not None and token.expires.tzinfo is None:
            raise TargetError(f"the end of token '{token.name}' has no time zone", where=str(path), hint="add a Z")


def create(path: Path, name: str, roles: Sequence[Role], expires: datetime | None) -> str:
    """Add a token to a file, which is made when there is none; gives the token. Raises TargetError."""
    secret = PREFIX + secrets.token_urlsafe(32)
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        token = msgspec.convert(
            {"name": name, "sha256": digest(secret), "roles": list(roles), "created": now, "expires": expires}, Token
        )
    except msgspec.ValidationError as problem:
        hint = "letters, digits and . _ @ - inside, at most 128"
        raise TargetError(f"a token cannot be called '{name[:128]}'", hint=hint) from problem
    with _changing(path):
        found = read_token_file(path).tokens if path.exists() else ()
        if any(each.name == name for each in found):
            hint = f"choose another name, or revoke it first: plimsoll token revoke {name} --file {path}"
            raise TargetError(f"there is a token '{name}' already", where=str(path), hint=hint)
        _write(path, (*found, token))
    return secret


def revoke(path: Path, name: str) -> None:
    """Take a token out of a file. Raises TargetError when there is none of this name."""
    # A file that is not there gets no lock beside it either.
    read_token_file(path)
    with _changing(path):
        found = read_token_file(path).tokens
        left = tuple(token for token in found if token.name != name)
        if len(left) == len(found):
            hint = f"its tokens are: {', '.join(token.name for token in found[:20]) or 'none'}"
            raise TargetError(f"there is no token '{name}'", where=str(path), hint=hint)
        _write(path, left)


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Keep all others from changing the file: of two who read it first, one would lose the other's token."""
    lock = path.with_name(f".{path.name}.lock")
    with contextlib.ExitStack() as held:
        try:
            locked = held.enter_context(locked_file(lock, limit=PATIENCE))
        except OSError as error:
            raise TargetError(f"the tokens cannot be written: {error.strerror}", where=str(path)) from error
        if not locked:
            hint = "try again, or see who has it open: lsof"
            message = f"another has changed the tokens for more than {PATIENCE:g} s"
            raise TargetError(message, where=str(lock), hint=hint)
        yield


def _write(path: Path, tokens: tuple[Token, ...]) -> None:
    text = msgspec.json.format(msgspec.json.encode(TokenFile(tokens=tokens)), indent=2) + b"\n"
    try:
        replace_file(path, text)
    except OSError as error:
        raise TargetError(f"the tokens cannot be written: {error.strerror}", where=str(path)) from error
