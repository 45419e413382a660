"""Which run is the newest: the one that began last, whatever the clock did."""

from __future__ import annotations

import fcntl
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plimsoll.engine import application_run
from plimsoll.engine.application_run import ApplicationRun
from plimsoll.engine.history import StepHistory
from plimsoll.engine.preparation import prepare
from plimsoll.engine.run_status import run_status
from plimsoll.errors import TargetError
from plimsoll.evidence.journal import Journal
from plimsoll.evidence.run_events import RunPlanned, run_observed
from plimsoll.state import run_order
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import RunLock

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
        _begin(state, run, number)
    state.journal("empty").parent.mkdir()
    state.journal("empty").touch()
    assert state.run_ids() == ["a", "b", "empty", "z", "0"]


def test_the_order_is_kept_beside_the_runs_and_never_differs_from_the_journals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDirectory(tmp_path)
    for number in range(1, 101):
        _begin(state, f"{200 - number:03d}", number)
    order = [f"{200 - number:03d}" for number in range(1, 101)]
    assert state.run_ids() == order
    opened: list[Path] = []
    read = run_order._first_line

    def noted(path: Path) -> bytes | None:
        opened.append(path)
        return read(path)

    monkeypatch.setattr(run_order, "_first_line", noted)
    assert state.run_ids() == order
    assert opened == []
    # A run that is new, one that is gone, one without its journal, and one that is another's of the same name.
    _begin(state, "000", 200)
    shutil.rmtree(state.runs / "199")
    state.journal("198").unlink()
    shutil.rmtree(state.runs / "197")
    _begin(state, "197", 300)
    assert state.run_ids() == [*order[3:], "000", "197"]
    (state.root / "run-order.json").write_bytes(b"{]")
    assert state.run_ids() == [*order[3:], "000", "197"]


def test_a_run_is_not_refused_because_somebody_looks_who_runs(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    with path.open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.1, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        lock = RunLock(path)
        lock.acquire("one", "t")
    with pytest.raises(TargetError, match="run one of 't'"):
        RunLock(path).acquire("two", "t")
    lock.release()


def _begin(state: StateDirectory, run: str, number: int) -> None:
    with Journal(state.journal(run)) as journal:
        planned = RunPlanned(run=run, application="t", target="local", steps=(), number=number)
        journal.append(run_observed("engine", "run", planned))


def test_a_step_during_which_the_clock_was_set_back_has_no_negative_time() -> None:
    now = datetime.now(UTC)
    step = StepHistory(name="run/a", key="k", started=now, ended=now - timedelta(hours=1))
    assert step.seconds == 0.0
