"""The person that a verb is about."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.subjects.identity import Subject

Command = TypeVar("Command", bound=Callable[..., object])


def subject_option(*, required: bool) -> Callable[[Command], Command]:
    """`--subject ID`, which the command gets as `asked`."""
    return click.option(
        "--subject",
        "asked",
        required=required,
        default=None,
        metavar="ID",
        help="The person's id as the column has it; - reads it from standard input.",
    )


def subject_from(asked: str) -> Subject:
    """The person of an id, or of the standard input for `-`. Raises FileError for what is no id."""
    from plimsoll.engine.erasing.erasing import subject_of
    from plimsoll.subjects.identity import LONGEST

    if asked != "-":
        return subject_of(asked)
    content = sys.stdin.buffer.read(4 * LONGEST + 2)
    try:
        return subject_of(content.decode().removesuffix("\n").removesuffix("\r"))
    except UnicodeDecodeError as error:
        raise FileError("the id is not UTF-8", where="standard input", hint="write the id in UTF-8") from error
