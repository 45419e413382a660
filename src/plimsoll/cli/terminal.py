"""What reaches a terminal: text, and no control sequence but the colours of plimsoll's own.

Steps, services, registries and clusters say things that are printed here. A terminal obeys sequences in them: they set
titles, clear the screen, or turn the direction of writing, so that a reader sees something that was never said.
"""

from __future__ import annotations

import io
import re
import sys

_CONTROLS = [*range(0x20), 0x7F, *range(0x80, 0xA0), 0x61C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F)]
_CONTROLS += [*range(0x2066, 0x206A), 0xFEFF, *range(0xE0000, 0xE0080)]
_ESCAPED = {number: chr(number).encode("ascii", "backslashreplace").decode() for number in _CONTROLS if number > 0xFF}
_ESCAPED |= {number: f"\\u{number:04x}" for number in _CONTROLS if number <= 0xFF}
_LINES = {number: text for number, text in _ESCAPED.items() if chr(number) not in "\n\t"}
_COLOUR = re.compile(r"(\x1b\[[0-9;]{0,20}m)")


def one_line(text: str) -> str:
    r"""Text of others as one line: a control character, also the end of a line, becomes `\uNNNN`."""
    return text.translate(_ESCAPED)


def without_controls(text: str) -> str:
    """Text with its lines and tabs, and no other control character, except the sequences of colours."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(part if _COLOUR.fullmatch(part) else part.translate(_LINES) for part in _COLOUR.split(text))


class _Terminal(io.TextIOWrapper):
    """Standard output or error that is a terminal."""

    def write(self, text: str) -> int:
        super().write(without_controls(text))
        return len(text)


def guard_terminals() -> None:
    """Let no control sequence of others reach standard output or error where it is a terminal."""
    sys.stdout = _guarded(sys.stdout)
    sys.stderr = _guarded(sys.stderr)


def _guarded(stream: object) -> io.TextIOWrapper:
    assert isinstance(stream, io.TextIOWrapper)  # noqa: S101 - the caller has opened it
    if isinstance(stream, _Terminal) or not stream.isatty():
        return stream
    encoding, errors = stream.encoding, stream.errors
    return _Terminal(stream.detach(), encoding=encoding, errors=errors, line_buffering=True)
