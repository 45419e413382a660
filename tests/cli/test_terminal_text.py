"""No control sequence of others reaches a terminal."""

from __future__ import annotations

import pytest

from plimsoll.cli.terminal import one_line, without_controls


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b]0;title\x07",
        "\x1b[2J",
        "\x9b2J",
        "\x1bc",
        "\r",
        "\b",
        "\x7f",
        "\u202e",
        "\u2066",
        "\u200f",
        "\x85",
        "\x1b[8h",
    ],
)
def test_a_sequence_is_shown_and_not_obeyed(sequence: str) -> None:
    for shown in (without_controls(f"before{sequence}after"), one_line(f"before{sequence}after")):
        assert shown.startswith("before\\u")
        assert not set(shown) & {chr(number) for number in (*range(32), *range(0x7F, 0xA0), 0x202E, 0x2066, 0x200F)}


def test_lines_tabs_colours_and_other_writing_stay() -> None:
    text = "a\tb\n\x1b[31mred\x1b[0m grün 日本語 ✓ 👍"
    assert without_controls(text) == text


def test_one_line_has_neither_lines_nor_colours() -> None:
    assert one_line("a\n\x1b[31mb\tc") == "a\\u000a\\u001b[31mb\\u0009c"
