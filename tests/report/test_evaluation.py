"""Predictions beside labels: a confusion matrix of classes, residuals of numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.report import evaluation_file
from plimsoll.report.evaluation import MOST_CLASSES, evaluate
from plimsoll.report.evaluation_file import read_batch_evaluation, read_evaluation


def written(folder: Path, content: str) -> Path:
    (folder / "predictions.csv").write_text(content, encoding="utf-8")
    return folder


def test_classes_become_a_matrix_with_the_labels_as_rows(tmp_path: Path) -> None:
    found = read_evaluation(
        written(tmp_path, "id,prediction,label\n1,PUMP,PUMP\n2,HOSE,PUMP\n3,HOSE,HOSE\n4,PUMP,PUMP\n")
    )
    assert found
    assert found.confusion
    assert found.residuals is None
    assert [(row.label, row.rows, row.predicted) for row in found.confusion.rows] == [
        ("PUMP", 3, (2, 1)),
        ("HOSE", 1, (0, 1)),
    ]
    assert (found.confusion.right, found.confusion.count) == (3, 4)


def test_few_whole_numbers_are_classes_in_their_order_however_they_are_written() -> None:
    found = evaluate([("2", "2.0"), ("0", "2"), ("10", "10"), ("2", "2")], "a file").confusion
    assert found
    assert [row.label for row in found.rows] == ["0", "2", "10"]
    assert found.right == 3


def test_rare_classes_are_one_row_and_no_row_of_the_data_is_lost() -> None:
    pairs = [(f"c{n}", f"c{n}") for n in range(40) for _ in range(40 - n)]
    found = evaluate(pairs, "a file").confusion
    assert found
    assert len(found.rows) == MOST_CLASSES + 1
    assert found.merged == 40 - MOST_CLASSES
    assert sum(row.rows for row in found.rows) == sum(sum(row.predicted) for row in found.rows) == len(pairs)


def test_numbers_become_residuals(tmp_path: Path) -> None:
    found = read_evaluation(written(tmp_path, "label,prediction\n1.5,2.5\n2.5,1.5\n3.5,6.5\n"))
    assert found
    assert found.confusion is None
    assert found.residuals
    assert found.residuals.absolute == pytest.approx(5 / 3)
    assert found.residuals.mean == pytest.approx(1.0)
    assert found.residuals.root == pytest.approx((11 / 3) ** 0.5)
    assert sum(found.residuals.bins) == 3
    assert (found.residuals.low, found.residuals.high) == (-3.0, 3.0)


def test_the_largest_numbers_there_are_do_not_break_the_page() -> None:
    found = evaluate([("-1.7e308", "1.7e308"), ("1.5", "1.5")], "a file").residuals
    assert found
    assert all(0 <= value <= 1 for dot in found.dots for value in dot)
    assert sum(found.bins) == 2


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("", "it has no column label and no column prediction"),
        ("label,guess\n1,2\n", "it has no column prediction"),
        ("label,prediction\n", "it has no rows"),
        ("label,prediction\n\n,x\n", "it has no rows"),
    ],
)
def test_a_file_without_predictions_is_named_with_the_reason(tmp_path: Path, content: str, note: str) -> None:
    found = read_evaluation(written(tmp_path, content))
    assert found
    assert found.note == note
    assert found.confusion is None


def test_no_file_is_no_section_and_a_long_one_says_that_it_was_shortened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_evaluation(tmp_path) is None
    monkeypatch.setattr(evaluation_file, "MOST_ROWS", 3)
    found = read_evaluation(written(tmp_path, "label,prediction\n" + "a,b\n" * 9))
    assert found
    assert found.confusion
    assert found.confusion.count == 3
    assert found.note == "Only its first 3 rows are counted."


def test_the_labels_of_a_batch_are_judged_as_those_of_a_training(tmp_path: Path) -> None:
    assert read_batch_evaluation(tmp_path) is None
    (tmp_path / "labelled.csv").write_text("label,prediction\na,a\na,b\n")
    found = read_batch_evaluation(tmp_path)
    assert found is not None
    assert found.source == "the labels of the batch's table"
    assert found.confusion is not None
    assert (found.confusion.count, found.confusion.right) == (2, 1)
