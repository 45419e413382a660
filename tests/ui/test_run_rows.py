"""What a row of the table takes from a journal."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from plimsoll.evidence.observation import Observation
from plimsoll.ui.run_rows import JournalReader
from tests.ui.journals import START, seen


def journal(path: Path, *observed: Observation) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in observed))
    return path


def event(subject: str, name: str, **values: Any) -> Observation:
    return seen(START + timedelta(seconds=1), subject, name, **values)


def test_a_sweep_counts_the_steps_of_its_trials_and_shows_what_it_searches(tmp_path: Path) -> None:
    train = {"name": "train/m.1", "key": "k1", "needs": []}
    path = journal(
        tmp_path / "journal.jsonl",
        event("run", "run-planned", run="r", application="a", target="local", steps=[], parameters={"rate": 0.5}),
        event(
            "sweep",
            "sweep-planned",
            id="i",
            model="m",
            objective="o",
            maximize=True,
            searched={"rate": "1,2"},
            trials=2,
        ),
        event("run", "steps-added", steps=[train]),
        event("train/m.1", "step-ended", state="done", cached=False, result={"metrics": {"accuracy": 0.9}}),
        event("run", "steps-added", steps=[train, {**train, "name": "train/m.2"}]),
    )
    reader = JournalReader(path)
    assert reader.read()
    row = reader.row
    assert (row.steps, row.count("done"), row.count("waiting")) == (2, 1, 1)
    assert row.parameters == {"rate": "1,2"}
    assert row.figures == {"m.1 accuracy": 0.9}
