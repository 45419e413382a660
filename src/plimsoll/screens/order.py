"""What a process that screens is told."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.decoding import decodable

MOST_ROWS = 1_000_000
DEFAULT_ROWS = 200_000
"""Rows that are read: of a longer table as many, evenly spread."""


@decodable
class ScreenOrder(Struct, frozen=True, kw_only=True):
    """Paths are absolute. `held_out` is a table of rows for tests, `earlier` the profile of the version before
    and `before` its figures.

    `ignore` are columns that say nothing of a row, such as its id. `allowed` may have personal data. `profile` is where
    the profile of this version is written, `report` where what was found is.
    """

    table: str
    report: str
    profile: str
    label: str = ""
    held_out: str = ""
    ignore: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    rows: int = DEFAULT_ROWS
    earlier: str = ""
    before: dict[str, float] = {}
