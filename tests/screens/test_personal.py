from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from plimsoll.runtime.tensors import Array
from plimsoll.screens.personal import personal_in
from plimsoll.screens.rows import Rows

RANDOM = random.Random(7)


def column(make: Callable[[int], object], rows: int = 40) -> Array:
    values = [make(number) for number in range(rows)]
    if all(isinstance(value, float) for value in values):
        return np.array(values, dtype=np.float64)
    array = np.empty(rows, dtype=np.object_)
    array[:] = values
    return array


def kinds(make: Callable[[int], object], name: str = "x", rows: int = 40) -> list[str]:
    table = Rows(columns={name: column(make, rows)}, numbers=np.arange(1, rows + 1), total=rows)
    return [what for what, _ in personal_in(table).get(name, ())]


def with_luhn(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def digits(count: int) -> str:
    return "".join(RANDOM.choice("0123456789") for _ in range(count))


def pesel(_: int) -> str:
    head = f"{RANDOM.randint(50, 99)}{RANDOM.randint(1, 12):02d}{RANDOM.randint(1, 28):02d}{digits(4)}"
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
    return head + str(-sum(int(digit) * weight for digit, weight in zip(head, weights, strict=True)) % 10)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda number: f"write to jane.doe{number}@mail.example.org today", "e-mail"),
        (lambda number: "please call +49 30 901820 at once" if number == 3 else "nothing", "telephone"),
        (lambda _: with_luhn("4" + digits(14)), "payment card"),
        (lambda number: f"paid by 4111 1111 1111 1111, order {number}", "payment card"),
        (lambda _: float(with_luhn("4" + digits(14))), "payment card"),
        (lambda number: "to DE89 3704 0044 0532 0130 00" if number % 9 == 0 else "cash", "IBAN"),
        (lambda number: f"from 8.8.{number}.8", "public address"),
        (pesel, "a PESEL of Poland"),
        (lambda number: f"{100 + number:03d}-12-{3000 + number}", "social security"),
    ],
)
def test_personal_data_is_found_by_its_form_and_checksum(make: Callable[[int], object], what: str) -> None:
    assert any(what in each for each in kinds(make)), kinds(make)


@pytest.mark.parametrize(
    "make",
    [
        lambda number: f"order {number} was shipped",
        lambda _: digits(16),
        lambda _: float(digits(11)),
        lambda _: digits(9),
        lambda _: digits(11),
        lambda number: f"version 1.{number}.0.{number}",
        lambda number: f"reading +{number} degrees",
        lambda number: f"192.168.0.{number}",
        lambda number: float(number) / 7,
        lambda number: f"2024-01-{number % 28 + 1:02d} 10:00:00",
        lambda number: f"a@{number}",
        lambda _: None,
    ],
)
def test_numbers_and_words_of_other_things_are_no_personal_data(make: Callable[[int], object]) -> None:
    assert kinds(make, rows=400) == []


@pytest.mark.parametrize("name", ["email", "Date of Birth", "firstName", "LAST_NAME", "home-address"])
def test_a_column_may_say_by_its_name_that_it_is_of_people(name: str) -> None:
    assert kinds(lambda number: f"v{number % 3}", name) == ["its name says so"]


def test_places_are_told_and_the_values_are_in_no_part_of_it() -> None:
    table = Rows(
        columns={"note": column(lambda number: "jane@example.org" if number in (2, 5) else "-")},
        numbers=np.arange(101, 141),
        total=40,
    )
    ((what, numbers),) = personal_in(table)["note"]
    assert numbers.tolist() == [103, 106]
    assert what == "an address of e-mail in 2 of 40 cells"
