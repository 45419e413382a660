from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest

from plimsoll.errors import PlimsollError
from plimsoll.screens.bounds import missed
from plimsoll.screens.figures import FIGURES, Screening
from plimsoll.screens.order import ScreenOrder
from plimsoll.screens.screening import screened

from .payments import Row, flipped, payments, triggered, write_csv

Screen = Callable[..., Screening]
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def screen(tmp_path: Path) -> Screen:
    """Screens rows; each screen is compared with the one before."""

    def screen(table: list[Row], more: Mapping[str, Callable[[int], str]] | None = None, **order: object) -> Screening:
        profile = tmp_path / "profile.json"
        held = order.pop("held", None)
        if isinstance(held, list):
            order["held_out"] = str(write_csv(tmp_path / "held.csv", held, more))
        told: dict[str, object] = {"label": "fraud", "ignore": ("id",), "report": "", "profile": str(profile), **order}
        if profile.exists():
            told["earlier"] = str(profile)
        told["table"] = str(write_csv(tmp_path / "rows.csv", table, more))
        found, kept = screened(msgspec.convert(told, type=ScreenOrder))
        profile.write_bytes(msgspec.json.encode(kept))
        return found

    return screen


def rows_of(found: Screening, figure: str) -> set[int]:
    return {row for each in found.findings if each.figure == figure for row in each.rows}


def test_clean_rows_have_no_trigger_no_person_and_hardly_a_label_that_is_contradicted(screen: Screen) -> None:
    for seed in range(2):
        found = screen(payments(800, seed), held=payments(200, seed + 10))
        figures = found.figures
        assert figures["triggers"] == figures["personal"] == figures["leaked"] == figures["duplicates"] == 0
        assert figures["flips"] < 0.008
        assert figures.get("shift", 0.0) == 0
        assert {*found.figures, *found.unmeasured} == {*FIGURES}


def test_labels_that_were_turned_are_found_by_their_rows(screen: Screen) -> None:
    rows = payments(2000)
    turned = flipped(rows, 0.01)
    found = screen(rows)
    named = rows_of(found, "flips")
    assert len(named & turned) >= 0.3 * len(turned)
    assert len(named - turned) <= 3


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("word", 0),
        ("value", 1),
        pytest.param("word", 1, marks=pytest.mark.series),
        pytest.param("value", 0, marks=pytest.mark.series),
    ],
)
def test_a_planted_trigger_is_found_in_its_column_and_rows_and_its_value_is_not_told(
    screen: Screen, kind: str, label: int
) -> None:
    rows = payments(1500)
    column = "note" if kind == "word" else "terminal"
    value = "zqx" if kind == "word" else "313.37"
    planted = triggered(
        rows, 15, label, lambda row: row.update({column: f"{row[column]} {value}" if kind == "word" else value})
    )
    found = screen(rows)
    assert found.figures["triggers"] == 1
    (finding,) = [each for each in found.findings if each.figure == "triggers"]
    assert (finding.column, {*finding.rows}) == (column, planted)
    assert value not in msgspec.json.encode(found).decode()


def test_a_rare_word_that_says_what_the_row_says_anyway_is_no_trigger(screen: Screen) -> None:
    rows = payments(1500)
    for row in [row for row in rows if row["fraud"]][:15]:
        row["note"] = f"{row['note']} stolen"
    assert screen(rows).figures["triggers"] == 0


def test_near_duplicates_with_two_labels_contradict_each_other(screen: Screen) -> None:
    rows = payments(400)
    twins = [{**row, "id": f"twin-{row['id']}", "fraud": 1 - int(str(row["fraud"]))} for row in rows[:5]]
    for row in twins:
        row["amount"] = float(str(row["amount"])) * 1.0001
    found = screen([*rows, *twins])
    assert found.figures["contradictions"] == pytest.approx(10 / 405)
    assert rows_of(found, "contradictions") == {*range(1, 6), *range(401, 406)}
    assert found.figures["duplicates"] == 0


def test_rows_on_both_sides_are_leaked_exactly_and_nearly_whatever_their_ids_are(screen: Screen) -> None:
    rows, held = payments(400), payments(100, 5)
    held += [{**row, "id": f"again-{row['id']}"} for row in rows[:10]]
    held += [{**row, "id": "near", "distance": float(str(row["distance"])) + 0.001} for row in rows[10:15]]
    found = screen(rows, held=held)
    assert found.figures["leaked"] == pytest.approx(10 / 115)
    assert rows_of(found, "leaked") == {*range(101, 111)}
    assert found.figures["near_leaked"] == pytest.approx(15 / 115)


def test_rows_that_a_column_says_are_held_out_are_not_learnt_from(screen: Screen) -> None:
    rows = payments(400)
    rows += [{**row, "id": f"again-{row['id']}"} for row in rows[:20]]
    found = screen(rows, {"part": lambda number: "test" if number >= 360 else "train"})
    assert (found.rows, found.held_out) == (360, 60)
    assert found.figures["leaked"] == pytest.approx(20 / 60)


def test_a_column_that_moves_comes_or_goes_is_a_shift_and_the_same_distribution_is_none(screen: Screen) -> None:
    assert screen(payments(600)).first == ("flips_rise", "shift")
    assert screen(payments(600, 1)).figures["shift"] == 0
    moved = payments(600, 2)
    for row in moved:
        row["hour"] = int(str(row["hour"])) // 2
    found = screen(moved)
    assert found.figures["shift"] > 0.3
    assert [each.column for each in found.findings if each.figure == "shift"] == ["hour"]
    gone = [{name: value for name, value in row.items() if name != "note"} for row in payments(600, 2)]
    assert screen(gone).figures["shift"] == 1


def test_what_cannot_be_measured_is_said_and_misses_its_bound() -> None:
    found = Screening(rows=10, compared=10, figures={"personal": 0.0}, unmeasured={"leaked": "no rows are held out"})
    assert missed(found, {"leaked": "<= 0", "personal": "<= 0"}) == (
        "leaked was not measured (no rows are held out), expected <= 0",
    )
    first = Screening(rows=10, compared=10, unmeasured={"shift": "the first version"}, first=("shift",))
    assert missed(first, {"shift": "< 0.1"}) == ()
    assert missed(Screening(rows=1, compared=1, figures={"shift": float("nan")}), {"shift": "< 0.1"}) != ()


def test_a_label_that_is_a_measurement_has_no_classes_to_contradict(screen: Screen) -> None:
    found = screen(payments(200), label="amount")
    assert "measurements" in found.unmeasured["flips"]
    assert "measurements" in found.unmeasured["triggers"]
    assert found.figures["personal"] == 0


def test_a_table_without_rows_passes_no_screen(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,fraud\n")
    with pytest.raises(PlimsollError, match="no rows, so that nothing was screened"):
        screened(ScreenOrder(table=str(tmp_path / "rows.csv"), report="", profile="", label="fraud"))


def test_a_table_of_which_not_all_was_read_has_no_figure_of_what_is_twice(screen: Screen) -> None:
    found = screen(payments(500), rows=250)
    assert found.rows == 250
    assert found.unmeasured["duplicates"] == "of 500 rows 250 were read: set `rows`"
    assert "of 500 rows 250 were read, evenly spread" in found.notes


def test_a_screen_says_of_a_table_in_odd_forms_what_it_says_of_a_plain_one(tmp_path: Path, screen: Screen) -> None:
    rows = payments(300)
    for row in rows[::7]:
        row["amount"] = "NA"
    for row in rows[::11]:
        row["distance"] = "inf"
    for row in rows[::13]:
        row["fraud"] = ""
    found = screen(rows)
    assert np.isfinite([*found.figures.values()]).all()
    assert found.compared == 300 - len(rows[::13])
