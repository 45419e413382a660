"""Which curves share a panel, and how they are drawn in it."""

from __future__ import annotations

import math

import pytest

from plimsoll.report.curves import MOST_PANELS, Panel, curves


def line(size: float, begin: float = 0.0) -> tuple[tuple[float, float], ...]:
    return tuple((float(n), begin + size * n / 10) for n in range(11))


def titles(series: dict[str, tuple[tuple[float, float], ...]]) -> list[list[str]]:
    return [[each.name for each in panel.lines] for panel in curves(series).panels]


def heights(panel: Panel) -> list[float]:
    """How much of the panel each line takes."""
    found = []
    for each in panel.lines:
        ys = [float(point.split(",")[1]) for point in each.points.split()]
        found.append(max(ys) - min(ys))
    return found


def test_a_figure_on_train_and_validation_data_shares_a_panel() -> None:
    series = {"train_loss": line(1), "val_loss": line(1.4), "accuracy": line(1), "validation/accuracy": line(0.9)}
    assert titles(series) == [["train_loss", "val_loss"], ["accuracy", "validation/accuracy"]]
    assert titles({"train": line(1), "validation": line(2)}) == [["train", "validation"]]


def test_curves_of_very_different_size_have_a_panel_each_and_are_all_seen() -> None:
    series = {f"m{place}": line(10.0**place) for place in range(-6, 7)} | {"loss": line(1), "val_loss": line(0.01)}
    panels = curves(series).panels
    assert [len(panel.lines) for panel in panels] == [1] * 15
    assert all(height > 90 for panel in panels for height in heights(panel))


def test_a_figure_over_many_magnitudes_has_a_logarithmic_axis() -> None:
    (panel,) = curves({"loss": tuple((float(n), 10.0 ** (6 - n)) for n in range(13))}).panels
    assert panel.logarithmic
    assert panel.ticks == ("1e-06", "1", "1000000")
    (linear,) = curves({"loss": line(5, begin=1)}).panels
    assert not linear.logarithmic


@pytest.mark.parametrize(
    "values", [(5.0,), (5.0, 5.0), (-1e308, 1e308), (5e-324, 1e308), (0.0, -0.0), (1e308, 1.7e308)]
)
def test_odd_values_are_drawn_inside_of_the_panel(values: tuple[float, ...]) -> None:
    (panel,) = curves({"loss": tuple((float(n), value) for n, value in enumerate(values))}).panels
    numbers = [float(number) for point in panel.lines[0].points.split() for number in point.split(",")]
    assert len(numbers) >= 4
    assert all(0 <= number <= 100 for number in numbers)


def test_what_is_no_number_is_left_out_and_what_is_too_much_is_counted() -> None:
    assert curves({"loss": ((1.0, math.nan), (math.inf, 2.0))}).panels == ()
    many = curves({f"m{n}": line(1) for n in range(100)})
    assert len(many.panels) == MOST_PANELS
    assert many.left_out == 100 - MOST_PANELS
