"""Rows that are older than may be: by the time in one of their columns. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

_MILLISECONDS = 100_000_000_000
"""Numbers from here on are milliseconds: as seconds they would be later than the year 5000."""


def time_of(cell: object) -> datetime | None:
    """The time in a cell: ISO 8601, or seconds or milliseconds since 1970; None for what is no time."""
    if isinstance(cell, datetime):
        return cell if cell.tzinfo is not None else cell.replace(tzinfo=UTC)
    if isinstance(cell, date):
        return datetime.combine(cell, time(), UTC)
    if isinstance(cell, bool) or cell is None:
        return None
    text = str(cell).strip()
    try:
        number = float(text)
    except ValueError:
        return _of_iso(text)
    # A date without separators is no number of seconds: 20260131.
    if len(text) == 8 and text.isdigit():
        return _of_iso(text)
    try:
        return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLISECONDS else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


class Expired:
    """Matches cells with a time before a limit. `unreadable` counts cells that are not empty and no time."""

    in_texts = False

    def __init__(self, before: datetime) -> None:
        self.before = before
        self.unreadable = 0

    def matches(self, cell: object) -> bool:
        """Whether the time of a cell is before the limit."""
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            return False
        at = time_of(cell)
        if at is None:
            self.unreadable += 1
        return at is not None and at < self.before

    def needles(self) -> tuple[bytes, ...]:
        """None: every cell is compared."""
        return ()


def _of_iso(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
