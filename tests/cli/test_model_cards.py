from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Plimsoll, answer, write

FILE = """  datasets: {rows: {source: rows.csv}}
  models:
    m:
      train: {run: python train.py, inputs: [rows]}
      card:
        purpose: Says yes or no.
        limits: [It was tried on four rows.]
        groups: [channel]
        period: day
        licence: MIT
"""
TRAIN = """import json, os, pathlib
out = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
(out / "model.bin").write_text("weights")
(out / "metrics.json").write_text(json.dumps({"accuracy": 0.75}))
(out / "predictions.csv").write_text("label,prediction,channel\\n1,1,web\\n0,0,web\\n1,0,shop\\n0,0,shop\\n")
"""


@pytest.mark.slow
def test_a_version_has_a_card_of_what_was_recorded_and_stated(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, FILE, train_py=TRAIN)
    (tmp_path / "rows.csv").write_text("day,x\n2024-01-02,1\n2024-01-09,2\n")
    ran = plimsoll("run")
    assert ran.returncode == 0, ran.stderr
    card = plimsoll("models", "m", "--card")
    assert card.returncode == 0, card.stderr
    for line in (
        "Says yes or no.",
        "- It was tried on four rows.",
        "- licence: MIT, says the application file",
        "| channel web | 2 (few) | 1 | 1 | 1 | 1 | 0 |",
    ):
        assert line in card.stdout
    assert "| rows | 2 | day 2024-01-02 to 2024-01-09 | sha256 " in card.stdout
    told = answer(plimsoll("models", "m@1", "--card", "--json"))
    assert told["signed_by"]
    assert told["card"]["judged"]["figures"]["recall"] == 0.5
    assert "explanation summary" in told["card"]["not_recorded"]
    written = plimsoll("models", "m", "--card-to", "cards")
    assert written.stdout.splitlines() == ["cards/m-1.card.md", "cards/m-1.card.json"]
    assert (tmp_path / "cards" / "m-1.card.md").read_text() == card.stdout
    assert json.loads((tmp_path / "cards" / "m-1.card.json").read_text()) == told
    (tmp_path / "file").write_text("")
    refused = plimsoll("models", "m", "--card-to", "file")
    assert refused.returncode == 2
    assert "the card cannot be written" in refused.stderr
    page = next(tmp_path.glob(".plimsoll/runs/*/report.html")).read_text()
    assert "Card of m@1" in page
    assert "day 2024-01-02 to 2024-01-09" in page
    two = plimsoll("models", "m", "m@1", "--card")
    assert two.returncode == 2
    assert "exactly one version" in two.stderr


@pytest.mark.slow
def test_another_word_of_the_card_makes_a_card_and_no_version(tmp_path: Path, plimsoll: Plimsoll) -> None:
    write(tmp_path, FILE, train_py=TRAIN)
    (tmp_path / "rows.csv").write_text("day,x\n2024-01-02,1\n")
    assert plimsoll("run").returncode == 0
    write(tmp_path, FILE.replace("Says yes", "Says perhaps"), train_py=TRAIN)
    assert plimsoll("run").returncode == 0
    told = answer(plimsoll("models", "m", "--card", "--json"))
    assert (told["card"]["model"], told["card"]["purpose"]) == ("m@1", "Says perhaps or no.")
