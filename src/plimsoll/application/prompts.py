"""Files beside an application that have the rules for a language model."""

from __future__ import annotations

from pathlib import Path

from plimsoll.errors import PlimsollError
from plimsoll.files import open_regular

MOST_RULES = 64 << 10
"""Bytes of such a file."""


def read_prompt(directory: Path, prompt: str) -> str:
    """The rules in a file, by its path from the application's directory. Raises PlimsollError."""
    try:
        with open_regular(directory / prompt) as opened:
            content = opened.read(MOST_RULES + 1)
        text = content.decode()
    except OSError as error:
        hint = "the path is relative to the application file"
        raise PlimsollError(f"'{prompt}' cannot be read: {error.strerror}", where=prompt, hint=hint) from None
    except UnicodeDecodeError:
        raise PlimsollError(f"'{prompt}' is not UTF-8", where=prompt, hint="save it as UTF-8") from None
    if len(content) > MOST_RULES or not text.strip():
        fault = "is empty" if not text.strip() else f"has more than {MOST_RULES >> 10} KiB"
        raise PlimsollError(f"'{prompt}' {fault}", where=prompt, hint="write the rules in a few sentences")
    return text
