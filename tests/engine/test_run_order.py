"""Which run is the newest: the one that began last, whatever the clock did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plimsoll.engine import application_run
from plimsoll.engine.application_run import ApplicationRun
from plimsoll.engine.history import StepHistory
from plimsoll.engine.preparation import prepare
from plimsoll.engine.run_status import run_status
from plimsoll.evidence.journal import Journal
from plimsoll.evidence.run_events import RunPlanned, run_observed
from plimsoll.state.directory import StateDirectory

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  datasets: {d: {source: d.csv}}
"""


@pytest.fixture
def ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run begins a year before the one that began last."""
    years = iter(range(2030, 2000, -1))
    monkeypatch.setattr(application_run, "new_run_id", lambda: f"{next(years)}0101-000000-000000")


@pytest.mark.usefixtures("ids")
def test_the_newest_run_is_the_last_begun_when_the_clock_is_set_back(tmp_path: Path) -> None:
    (tmp_path / "plimsoll.yaml").write_text(FILE)
    (tmp_path / "d.csv").write_text("x\n")
    begun = []
    for _ in range(3):
        prepared = prepare(tmp_path / "plimsoll.yaml")
        run = ApplicationRun(prepared)
        run.carry_out()
        begun.append(run.id)
        assert run_status(prepared.state).run == run.id
    assert begun == sorted(begun, reverse=True)
    assert prepared.state.run_ids() == begun
    assert [prepared.state.run_number(run) for run in begun] == [1, 2, 3]


def test_runs_that_recorded_no_number_come_first_by_their_names(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    for run, number in {"b": 0, "a": 0, "0": 2, "z": 1}.items():
        with Journal(state.journal(run)) as journal:
            planned = RunPlanned(run=run, application="t", target="local", steps=(), number=number)
            journal.append(run_observed("engine", "run", planned))
    state.journal("empty").parent.mkdir()
    state.journal("empty").touch()
    assert state.run_ids() == ["a", "b", "empty", "z", "0"]


def test_a_step_during_which_the_clock_was_set_back_has_no_negative_time() -> None:
    now = datetime.now(UTC)
    step = StepHistory(name="run/a", key="k", started=now, ended=now - timedelta(hours=1))
    assert step.seconds == 0.0
