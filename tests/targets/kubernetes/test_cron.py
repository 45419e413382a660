"""Which schedules there are."""

from __future__ import annotations

import pytest

from plimsoll.errors import FileError
from plimsoll.targets.kubernetes.cron import require_schedule


@pytest.mark.parametrize(
    "text",
    ["0 3 * * *", "*/15 * * * *", "5/15 0-6/2 1,15 jan-MAR mon,Wed", "0 0 29 2 *", "0 0 31 2 5", "? ? ? ? ?", "@daily", "@every 1h30m", "@hourly"],
)  # fmt: skip
def test_a_schedule_as_kubernetes_takes_it_is_taken(text: str) -> None:
    require_schedule(text)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("0 3 * *", "'0 3 * *' has 4 fields", "five fields"),
        ("", "'' has 0 fields", "five fields"),
        ("60 3 * * *", "'60' is no minute", "0 to 59"),
        ("0 24 * * *", "'24' is no hour", "0 to 23"),
        ("0 0 0 * *", "'0' is no day of the month", "1 to 31"),
        ("0 0 * 13 *", "'13' is no month", "1 to 12"),
        ("0 0 * * 7", "'7' is no day of the week", "0 is Sunday"),
        ("0 0 * * friday", "'friday' is no day of the week", "fri"),
        ("a * * * *", "'a' is no minute", "0 to 59"),
        ("-1 * * * *", "'-1' is no minute", "0 to 59"),
        ("*/0 * * * *", "the step of '*/0' is 0", "at least 1"),
        ("9-5 * * * *", "the range '9-5' is empty", "smaller"),
        ("0 0 31 2,4 *", "'0 0 31 2,4 *' never comes", "another day"),
        ("@sometimes", "'@sometimes' is no schedule", "@daily"),
        ("TZ=Europe/Zurich 0 3 * * *", "no time zone of its own", "UTC"),
        ("1, * * * *", "'' is no minute", "0 to 59"),
        ("٣ * * * *", "'٣' is no minute", "0 to 59"),
    ],
)
def test_what_is_none_is_told_with_its_field(text: str, message: str, hint: str) -> None:
    with pytest.raises(FileError) as caught:
        require_schedule(text)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.where == "--schedule"
