"""The schedule of a CronJob, checked as Kubernetes reads it. Pure.

Source: robfig/cron v3, ParseStandard, which Kubernetes uses: five fields, names of months and days, lists, ranges and
steps, and descriptors such as `@daily`. Day of the week is 0 to 6.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.errors import FileError

DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_EXAMPLE = "five fields, minute hour day month weekday: '0 3 * * *' is each day at 3:00"
_EVERY = re.compile(r"@every ([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+")
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_LONGEST_MONTHS = {month: 29 if month == 2 else calendar.monthrange(2027, month)[1] for month in range(1, 13)}


class _Field(Struct, frozen=True):
    name: str
    low: int
    high: int
    names: Mapping[str, int] = {}


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _DAYS),
)


def require_schedule(text: str) -> None:
    """Raise FileError for text that is no schedule, and for one that never comes."""
    if text in DESCRIPTORS or _EVERY.fullmatch(text):
        return
    if text.startswith("@"):
        raise _wrong(f"'{text}' is no schedule", f"use one of {', '.join(DESCRIPTORS)}, @every 6h, or {_EXAMPLE}")
    if text.startswith(("TZ=", "CRON_TZ=")):
        raise _wrong("a schedule has no time zone of its own", "the CronJob's is UTC: count from there")
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise _wrong(f"'{text}' has {len(parts)} fields", f"a schedule has {_EXAMPLE}")
    values = [_values(part, field) for part, field in zip(parts, _FIELDS, strict=True)]
    _require_a_day(text, parts, values)


def _require_a_day(text: str, parts: Sequence[str], values: Sequence[set[int]]) -> None:
    """Raise FileError for a day that no month of the schedule has; a day of the week would come all the same."""
    _, _, days, months, _ = values
    if parts[4] in ("*", "?") and min(days) > max(_LONGEST_MONTHS[month] for month in months):
        raise _wrong(f"'{text}' never comes: its months have no day {min(days)}", "name another day or month")


def _values(text: str, field: _Field) -> set[int]:
    return {value for part in text.split(",") for value in _range(part, field)}


def _range(text: str, field: _Field) -> range:
    bounds, slash, step_text = text.partition("/")
    low_text, dash, high_text = bounds.partition("-")
    step = _number(step_text, field, text, {}) if slash else 1
    if step < 1:
        raise _wrong(f"the step of '{text}' is 0 ({field.name})", "a step is at least 1")
    if bounds in ("*", "?"):
        return range(field.low, field.high + 1, step)
    low = _within(low_text, field, text)
    # `5/15` is every 15 from 5 on.
    high = _within(high_text, field, text) if dash else field.high if slash else low
    if high < low:
        raise _wrong(f"the range '{text}' is empty ({field.name})", "a range begins with the smaller value")
    return range(low, high + 1, step)


def _within(text: str, field: _Field, whole: str) -> int:
    value = _number(text, field, whole, field.names)
    if not field.low <= value <= field.high:
        sunday = "; 0 is Sunday" if field.names is _DAYS and value == 7 else ""
        raise _wrong(f"'{whole}' is no {field.name}", f"it is {field.low} to {field.high}{sunday}")
    return value


def _number(text: str, field: _Field, whole: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        words = f", or {', '.join(names)}" if names else ""
        raise _wrong(f"'{whole}' is no {field.name}", f"it is {field.low} to {field.high}{words}; lists, a-b, */n")
    return int(text)


def _wrong(message: str, hint: str) -> FileError:
    return FileError(message, where="--schedule", hint=hint)
