"""Text that is written as UTF-8, though names of files may have bytes that are none.

Python reads such a byte as half of a surrogate pair, which no UTF-8 has: writing it raises UnicodeEncodeError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


def is_utf8(text: str) -> bool:
    """Whether text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    r"""The text for people: a byte that is no UTF-8 becomes `\xNN`."""
    try:
        return text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()


def json_for_people(value: object) -> bytes:
    r"""The value as JSON, with every byte of a name that is no UTF-8 as `\xNN`."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_readable(msgspec.to_builtins(value)))


def _readable(value: Any) -> Any:  # Any: JSON values
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, Mapping):
        return {_readable(key): _readable(each) for key, each in value.items()}
    return [_readable(each) for each in value] if isinstance(value, list | tuple) else value
