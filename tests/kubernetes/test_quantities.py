"""Quantities as Kubernetes writes them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.kubernetes.quantities import number, thousandths


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1500m", Fraction(3, 2)),
        ("2", 2),
        ("0.1", Fraction(1, 10)),
        ("2Gi", 2 * 1024**3),
        ("3M", 3_000_000),
        ("1e3", 1000),
        ("128Mi", 128 * 1024**2),
        ("250u", Fraction(1, 4000)),
        (4, 4),
    ],
)
def test_a_quantity_has_its_exact_value(text: str, value: Fraction) -> None:
    assert number(text) == value


@given(st.integers(0, 10**9))
def test_thousandths_of_thousandths_are_themselves(value: int) -> None:
    assert thousandths(f"{value}m") == value


def test_thousandths_round_up_as_the_scheduler_does() -> None:
    assert thousandths("1001u") == 2
    assert thousandths("0.5") == 500


@pytest.mark.parametrize("text", ["", "x", "1Q", "m", "1 2"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"literal|Fraction|convert"):
        number(text)
