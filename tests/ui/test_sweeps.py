"""The room of sweeps: what the server finds in journals, and pages of trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from plimsoll.engine.sweep.trials import sweep_of
from plimsoll.evidence.journal import Journal
from plimsoll.evidence.observation import Observation
from plimsoll.state.directory import StateDirectory
from plimsoll.ui.rooms import Rooms
from plimsoll.ui.run_index import Query, RunIndex
from plimsoll.ui.run_rows import JournalReader
from plimsoll.ui.sweep_pages import POINTS, sorted_trials, sweep_page
from plimsoll.ui.web import application
from tests.ui.journals import START, run_id, seen, write_run

TRIALS = [
    (0.1, "done", 0.8, ()),
    (0.3, "done", 1.0, ()),
    (0.9, "done", 0.4, ("score is 0.4",)),
    (2.0, "failed", None, ()),
]


def sweep_lines(
    trials: Sequence[tuple[Any, str, float | None, tuple[str, ...]]], name: str = "rate"
) -> list[Observation]:
    """What a sweep with these trials writes: value of the parameter, state, objective, refusals."""
    told = {"id": "s", "model": "m", "objective": "score", "maximize": True, "searched": {name: "0.1:2"}}
    lines = [seen(START, "sweep", "sweep-planned", trials=len(trials) + 1, **told)]
    for number, (value, state, score, refusals) in enumerate(trials, 1):
        lines.append(
            seen(START, "sweep", "trial-begun", number=number, parameters={name: value}, train=f"train/m.{number}")
        )
        if state != "running":
            ended = {"state": state, "value": score, "refusals": list(refusals), "seconds": float(number)}
            lines.append(seen(START + timedelta(seconds=1), "sweep", "trial-ended", number=number, **ended))
    return lines


def write_sweep(directory: Path, number: int, lines: Sequence[Observation]) -> str:
    run = write_run(directory, number)
    with Journal(StateDirectory(directory).journal(run)) as journal:
        journal.extend(lines)
    return run


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    write_run(tmp_path / "app", 1, {"loss": 1.0})
    write_sweep(tmp_path / "app", 2, sweep_lines(TRIALS))
    rooms = Rooms([tmp_path / "app"])
    while rooms.all()[0].follower.tick():
        pass
    with TestClient(application(rooms, token="t", port=1), base_url="http://127.0.0.1:1") as found:
        found.headers["authorization"] = "Bearer t"
        yield found
    rooms.close()


def asked(client: TestClient, path: str) -> Mapping[str, Any]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    found: Mapping[str, Any] = answer.json()
    return found


def test_the_list_of_sweeps_has_those_runs_alone_with_their_best(client: TestClient) -> None:
    (row,) = asked(client, "/api/app/runs?sweeps=true")["rows"]
    assert row["number"] == 2
    assert row["sweep"] == {
        "model": "m", "objective": "score", "maximize": True, "trials": 5, "begun": 4, "ended": 4, "best": 1.0, "best_trial": 2,
    }  # fmt: skip
    assert [each["sweep"] is None for each in asked(client, "/api/app/runs")["rows"]] == [False, True]


def test_the_page_of_a_sweep_has_its_trials_its_best_and_a_plot_over_each_parameter(client: TestClient) -> None:
    page = asked(client, "/api/app/sweeps/2?limit=3")
    assert (page["words"], page["total"], page["planned"], page["ended"]) == ("highest score", 4, 5, 4)
    assert [trial["number"] for trial in page["trials"]] == [2, 1, 3]
    assert page["best"]["parameters"] == {"rate": "0.3"}
    assert page["accepted"] == [1, 2]
    (panel,) = page["panels"]
    assert panel["name"] == "rate"
    assert [(number, value) for number, _, value in panel["points"]] == [(1, 0.8), (2, 1.0), (3, 0.4)]
    assert [place for _, place, _ in panel["points"]] == pytest.approx([0.0, 0.25, 1.0])
    assert "no sweep" in client.get("/api/app/sweeps/1").json()["error"]["message"]


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        ("", False, [2, 1, 3, 4]),
        ("number", True, [4, 3, 2, 1]),
        ("value", False, [3, 1, 2, 4]),
        ("value", True, [2, 1, 3, 4]),
        ("parameter:rate", True, [4, 3, 2, 1]),
        ("parameter:none", False, [1, 2, 3, 4]),
        ("state", True, [4, 1, 2, 3]),
    ],
)
def test_trials_are_sorted_by_any_column(sort: str, descending: bool, expected: list[int]) -> None:
    sweep = sweep_of(sweep_lines(TRIALS))
    assert sweep is not None
    assert [trial.number for trial in sorted_trials(sweep, sort, descending=descending)] == expected


def test_a_sweep_of_very_many_trials_has_a_plot_of_the_newest_and_the_best() -> None:
    many = [(number / 3_000, "done", float(number == 5), ()) for number in range(3_000)]
    sweep = sweep_of(sweep_lines([*many, ("word", "running", None, ())]))
    assert sweep is not None
    page = sweep_page(sweep, "r", live=True, sort="", descending=False, offset=0, limit=50)
    panels: Any = page["panels"]
    trials: Any = page["trials"]
    assert len(panels[0].points) == POINTS + 1
    assert panels[0].points[0][0] == 6
    assert len(trials) == 50


def test_the_row_of_a_sweep_that_goes_on_grows_with_its_journal(tmp_path: Path) -> None:
    lines = sweep_lines([(0.1, "done", 0.8, ()), (0.3, "running", None, ())])
    write_sweep(tmp_path, 1, lines[:2])
    reader, index = JournalReader(StateDirectory(tmp_path).journal(run_id(1))), RunIndex(None)
    try:
        reader.read()
        assert reader.row.sweep is not None
        assert (reader.row.sweep.begun, reader.row.sweep.ended) == (1, 0)
        with Journal(reader.path) as journal:
            journal.extend(lines[2:])
        reader.read()
        index.put([(reader.row, reader.size)])
        (row,) = index.page(Query(sweeps=True)).rows
        kept: Any = row["sweep"]
        assert (kept["begun"], kept["ended"], kept["best"], kept["best_trial"]) == (2, 1, 0.8, 1)
    finally:
        index.close()
