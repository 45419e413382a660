"""The token that a verb sends to a service: from a file that is named, or from the environment; it is never printed."""

from __future__ import annotations

import os
from pathlib import Path

from plimsoll.errors import FileError

VARIABLE = "PLIMSOLL_TOKEN"
LONGEST = 64 << 10
"""Bytes of the file that are read."""


def token_from(file: Path | None) -> str:
    """The token; empty when there is none. Raises FileError."""
    if file is None:
        return _checked(os.environ.get(VARIABLE, ""), VARIABLE)
    try:
        with file.open("rb") as opened:
            text = opened.read(LONGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise FileError(f"the token cannot be read: {reason}", where=str(file)) from error
    token = _checked(text, str(file))
    if not token:
        raise FileError("the file of the token is empty", where=str(file))
    return token


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if not token.isascii() or any(each.isspace() or not each.isprintable() for each in token):
        raise FileError("this is no token: it has spaces or other characters", where=where)
    return token
