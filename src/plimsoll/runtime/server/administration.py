"""Who may change what a server does: load and unload models, and tell it the true labels of its predictions.

Whoever knows a token that lies in a file. Without such a file nobody may. A browser does not know the token, so that a
page that an engineer visits cannot use the server on her own machine.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from pathlib import Path

from plimsoll.runtime.server.identities.callers import Role, present
from plimsoll.runtime.server.refusals import Forbidden

SHORTEST_TOKEN = 16
"""Characters."""
LONGEST_TOKEN = 4096
"""Bytes of the file that are read."""
OPTION = "--admin-token-file"


class Administration:
    """Checks the token of a call. The file is read at each call, so that a token can be replaced."""

    def __init__(self, token_file: Path | None = None) -> None:
        self._file = token_file

    async def check(self, headers: Mapping[str, str], role: Role = "admin") -> None:
        """Raise Forbidden unless the caller has the role, or the header `authorization` the token.

        `headers` have names in small letters.
        """
        if present.get().may(role):
            return
        if self._file is None:
            raise Forbidden(f"this server takes no such calls: start it with {OPTION} and send that token")
        token = await asyncio.to_thread(read_admin_token, self._file)
        if len(token) < SHORTEST_TOKEN:
            raise Forbidden(f"the file of {OPTION} has no token of at least {SHORTEST_TOKEN} characters")
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            raise Forbidden(f"send the token of {OPTION} in the header 'Authorization: Bearer TOKEN'")


def read_admin_token(path: Path) -> str:
    """The token; empty when there is none."""
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_TOKEN).decode().strip()
    except (OSError, UnicodeDecodeError):
        return ""
