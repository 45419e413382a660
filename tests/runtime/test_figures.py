"""metrics.json, with what trainings write to it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from plimsoll.runtime.figures import COUNT_LIMIT, SIZE_LIMIT, Figures, read_figures


def read(tmp_path: Path, content: str | bytes) -> Figures:
    (tmp_path / "metrics.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_figures(tmp_path)


def test_finite_numbers_are_figures_and_nothing_is_noted(tmp_path: Path) -> None:
    assert read(tmp_path, '{"accuracy": 0.5, "rows": 7}') == Figures(metrics={"accuracy": 0.5, "rows": 7.0})


def test_without_the_file_there_are_no_figures_and_no_note(tmp_path: Path) -> None:
    assert read_figures(tmp_path) == Figures()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("NaN", "is NaN and is left out"),
        ("Infinity", "is infinite or too large and is left out"),
        ("-Infinity", "is infinite or too large and is left out"),
        ("1e999", "is infinite or too large and is left out"),
        ("1" + "0" * 5000, "is infinite or too large and is left out"),
        ("null", "is null, not a number, and is left out"),
        ("true", "is true, not a number, and is left out"),
        ('"0.9"', "is text, not a number, and is left out"),
        ("[0.9]", "is a list, not a number, and is left out"),
    ],
)
def test_what_is_no_finite_number_is_left_out_and_named_and_its_neighbours_are_kept(
    tmp_path: Path, value: str, said: str
) -> None:
    found = read(tmp_path, f'{{"before": 1, "auc": {value}, "after": 2}}')
    assert found.metrics == {"before": 1.0, "after": 2.0}
    assert found.notes == (f"metrics.json: 'auc' {said}",)


def test_the_figures_of_a_nested_object_are_named_after_it(tmp_path: Path) -> None:
    found = read(tmp_path, '{"test": {"macro avg": {"f1": 0.8, "support": NaN}}, "rows": 3}')
    assert found.metrics == {"test.macro avg.f1": 0.8, "rows": 3.0}
    assert found.notes == ("metrics.json: 'test.macro avg.support' is NaN and is left out",)


def test_of_two_figures_with_one_name_the_first_counts(tmp_path: Path) -> None:
    found = read(tmp_path, '{"a.b": 1, "a": {"b": 2}}')
    assert (found.metrics, len(found.notes)) == ({"a.b": 1.0}, 1)


@pytest.mark.parametrize(
    "content",
    [
        "rubbish",
        "",
        "[1]",
        "3",
        '{"a": 1',
        b"\xff\xfe\xfa",
        "[" * 200_000,
        '{"a":' * 100_000,
        b"{" + b" " * SIZE_LIMIT + b"}",
    ],
)
def test_a_file_that_cannot_be_read_gives_no_figures_and_one_note(tmp_path: Path, content: str | bytes) -> None:
    found = read(tmp_path, content)
    assert (found.metrics, len(found.notes)) == ({}, 1)
    assert found.notes[0].startswith("metrics.json has no figures that can be read: ")


def test_a_value_that_is_nested_beyond_the_limit_is_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, '{"a":' * 50 + "1" + "}" * 50)
    assert (found.metrics, len(found.notes)) == ({}, 1)


def test_a_name_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, '{"\\ud800": 1, "rows": 2}')
    assert found.metrics == {"rows": 2.0}
    json.dumps(found.notes, ensure_ascii=False).encode()


def test_figures_are_counted_and_only_the_first_notes_are_spelt_out(tmp_path: Path) -> None:
    found = read(tmp_path, json.dumps({f"class {number}": number for number in range(COUNT_LIMIT + 100)}))
    assert len(found.metrics) == COUNT_LIMIT
    assert found.notes[-1] == "metrics.json: 92 more are left out"


def test_a_pipe_or_a_directory_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.json")
    assert read_figures(tmp_path).notes == ("metrics.json has no figures that can be read: it is not a regular file",)
    (tmp_path / "metrics.json").unlink()
    (tmp_path / "metrics.json").mkdir()
    assert read_figures(tmp_path).metrics == {}
