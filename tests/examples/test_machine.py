"""The maintenance example at the edge: its file is right, and what is played was not learnt from."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from plimsoll.kinds.table import KINDS

from .scripts import EXAMPLES, load

EXAMPLE = EXAMPLES / "maintenance"
pytest.importorskip("paho.mqtt.client")
parts, machine = load("maintenance", "parts", "machine")


def test_the_file_is_right() -> None:
    KINDS.check(KINDS.load(EXAMPLE / "edge.yaml"))


def test_the_newest_readings_are_played_and_not_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[str(number)] * 9 + [str(number % 2)] for number in range(20)]
    with gzip.open(tmp_path / "shuttle.csv.gz", "wt", newline="") as file:
        csv.writer(file).writerows([[*(f"f{n}" for n in range(9)), "anomaly"], *rows])
    output = tmp_path / ".plimsoll" / "results" / "key" / "output"
    output.mkdir(parents=True)
    monkeypatch.setenv("PLIMSOLL_INPUT_READINGS", str(tmp_path / "shuttle.csv.gz"))
    monkeypatch.setenv("PLIMSOLL_OUTPUT", str(output))
    parts.main()
    assert len((output / "train.csv").read_text().splitlines()) == 15
    monkeypatch.setattr(machine, "HERE", tmp_path)
    assert machine.live(2) == [([14.0] * 9, 0), ([15.0] * 9, 1)]


def test_readings_that_no_run_has_made_are_told_how_to_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "HERE", tmp_path)
    with pytest.raises(SystemExit, match=r"plimsoll run -f edge\.yaml"):
        machine.live(1)
