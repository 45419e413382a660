"""Rows are told from each other alike, however many lines of a file are looked at together."""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import pytest

from plimsoll.subjects import lines
from plimsoll.subjects.identity import Subject
from plimsoll.subjects.lines import Lines
from plimsoll.subjects.rewriting import remove_rows

NEEDLES = (b"wanted", b'"')


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 20])
def test_a_table_loses_the_rows_that_a_reader_of_csv_gives_to_the_person(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_PIECE", piece)
    draw = random.Random(4)
    cells = ["wanted", "other", "wanted-too", "in\nlines", 'a "quote"', "wanted\nin lines", "", "a, b"]
    rows = [[draw.choice(cells), draw.choice(cells), str(number)] for number in range(400)]
    path = tmp_path / "people.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["note", "person", "number"], *rows])
    removed = remove_rows(path, Subject("wanted"), {"person"})
    with path.open(newline="") as file:
        _, *left = csv.reader(file)
    assert left == [row for row in rows if row[1] != "wanted"]
    assert removed == len(rows) - len(left) > 0


@pytest.mark.parametrize("piece", [1, 5, 1 << 20])
@pytest.mark.parametrize(
    "content", [b"", b"a", b"a\n", b"\n\nwanted\n\n", b"a\nwanted", b"wanted a\nb\nc \xff wanted\nd"]
)
def test_lines_that_are_taken_together_are_those_without_the_needles_and_none_is_lost(
    content: bytes, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_PIECE", piece)
    reading, together, alone = Lines(io.BytesIO(content)), [], []
    order = b""
    while True:
        while others := reading.without(NEEDLES):
            together += others.splitlines(keepends=True)
            order += others
        line = next(reading, None)
        if line is None:
            break
        alone.append(line)
        order += line
    assert order == content
    assert all(b"wanted" in each for each in alone)
    assert not any(b"wanted" in each for each in together)
