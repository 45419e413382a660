"""Bearer tokens: whose token a request has, by the digests of a file, or by the file of the administrator's token."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from plimsoll.runtime.server.administration import SHORTEST_TOKEN, read_admin_token
from plimsoll.runtime.server.identities.callers import Caller
from plimsoll.runtime.server.identities.token_file import Token, TokenFile, digest, read_token_file
from plimsoll.runtime.server.identities.watched import Watched

ADMINISTRATOR = Caller("admin-token", frozenset({"admin"}))


class Bearers(Protocol):
    """Knows the callers of one kind of token."""

    async def fetch(self, token: str) -> None:
        """Fetch what says whose a token is, after KeysNeeded. Raises Refusal when that cannot be had now."""

    def caller(self, token: str) -> Caller | None:
        """Whose token it is; `None` when it is not of this kind.

        Raises Refusal for one that is and is not good, KeysNeeded.
        """

    def look(self) -> None:
        """Read again what has changed; called in a thread, about once a second."""


class _OfFile:
    """Tokens of a file of this machine, for which nothing is fetched."""

    async def fetch(self, token: str) -> None:
        """Nothing."""


class TokenBearers(_OfFile):
    """The tokens of a file."""

    def __init__(self, path: Path) -> None:
        """Raises TargetError."""
        self._file: Watched[TokenFile] = Watched(path, read_token_file)
        self._by_start = _by_start(self._file.content)

    def caller(self, token: str) -> Caller | None:
        """By the digest: nobody can choose what her guess becomes there, so that its time tells nothing."""
        given = digest(token)
        for each in self._by_start.get(given[:16], ()):
            if hmac.compare_digest(each.sha256, given) and not each.is_over(time.time()):
                return Caller(f"token:{each.name}", frozenset(each.roles))
        return None

    def look(self) -> None:
        """Take the tokens of a file that was replaced."""
        if self._file.look():
            self._by_start = _by_start(self._file.content)


def _by_start(file: TokenFile) -> Mapping[str, list[Token]]:
    found: dict[str, list[Token]] = {}
    for token in file.tokens:
        found.setdefault(token.sha256[:16], []).append(token)
    return found


class AdminBearer(_OfFile):
    """The token of `--admin-token-file`, which may do all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self.look()

    def caller(self, token: str) -> Caller | None:
        """The administrator, for her token."""
        if len(self._token) < SHORTEST_TOKEN or not hmac.compare_digest(token.encode(), self._token.encode()):
            return None
        return ADMINISTRATOR

    def look(self) -> None:
        """Read the file: it is short, and may not be there yet."""
        self._token = read_admin_token(self._path)
