"""The table of runs: what the server finds in journals, in which order, and how it follows them."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plimsoll.engine.run_status import run_status
from plimsoll.evidence.journal import Journal
from plimsoll.state.directory import StateDirectory
from plimsoll.state.lock import Holder, RunLock, noted_holder
from plimsoll.ui.events import Hub
from plimsoll.ui.following import PlaceFollower
from plimsoll.ui.places import Place, places
from plimsoll.ui.run_index import Query, RunIndex
from plimsoll.ui.run_rows import JournalReader
from tests.ui.journals import START, planned, run_id, seen, write_run


class Followed:
    """A place with its index, looked at until there is nothing left to read."""

    def __init__(self, directory: Path, index: RunIndex) -> None:
        self.index = index
        place = Place(id="app", directory=directory, target="local", application="app")
        self.follower = PlaceFollower(place, index, Hub())

    def runs(self, **asked: object) -> list[int]:
        while self.follower.tick():
            pass
        page = self.index.page(Query(live=self.follower.live, **asked))  # type: ignore[arg-type]  # settings of a Query
        return [int(str(row["number"])) for row in page.rows]

    def row(self, number: int) -> dict[str, object]:
        self.runs()
        found = self.index.row(run_id(number), self.follower.live)
        assert found is not None
        return found


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    index = RunIndex(tmp_path / "index")
    yield Followed(tmp_path, index)
    index.close()


def test_the_newest_run_comes_first_and_a_page_has_its_part(followed: Followed, tmp_path: Path) -> None:
    for number in range(1, 31):
        write_run(tmp_path, number)
    assert followed.runs(limit=10) == list(range(30, 20, -1))
    assert followed.runs(limit=10, offset=25) == [5, 4, 3, 2, 1]
    assert followed.runs(limit=3, descending=False) == [1, 2, 3]
    assert followed.index.page(Query(limit=1)).total == 30


@pytest.mark.parametrize("descending", [True, False])
def test_runs_are_sorted_by_any_figure_and_those_without_it_come_last(
    followed: Followed, tmp_path: Path, descending: bool
) -> None:
    figures = {1: {"loss": 0.5, "accuracy": 0.1}, 2: {"accuracy": 0.9}, 3: {"loss": 0.25}, 4: {}, 5: {"loss": 1e-3}}
    for number, each in figures.items():
        write_run(tmp_path, number, each)
    found = followed.runs(sort="figure:triage loss", descending=descending, columns=["triage loss"])
    assert found[:3] == ([1, 3, 5] if descending else [5, 3, 1])
    assert set(found[3:]) == {2, 4}


def test_runs_are_sorted_by_a_parameter(followed: Followed, tmp_path: Path) -> None:
    for number, rate in enumerate((0.1, 0.03, 2, 0.5), 1):
        write_run(tmp_path, number, parameters={"lr": rate})
    assert followed.runs(sort="parameter:lr") == [3, 4, 1, 2]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    st.lists(st.dictionaries(st.text(min_size=1, max_size=8), st.floats(-1e9, 1e9), max_size=5), min_size=1, max_size=6)
)
def test_a_row_has_the_figures_that_the_run_itself_has(
    tmp_path_factory: pytest.TempPathFactory, runs: list[dict[str, float]]
) -> None:
    directory = tmp_path_factory.mktemp("app")
    for number, figures in enumerate(runs, 1):
        write_run(directory, number, figures)
    index = RunIndex(None)
    try:
        followed = Followed(directory, index)
        assert followed.runs() == list(range(len(runs), 0, -1))
        for number, figures in enumerate(runs, 1):
            names = [f"triage {name}" for name in figures]
            rows = index.page(Query(columns=names, limit=100)).rows
            (row,) = [each for each in rows if each["number"] == number]
            assert row["figures"] == dict(zip(names, figures.values(), strict=True))
            metrics = run_status(StateDirectory(directory), run_id(number)).step("train/triage").metrics
            assert dict(metrics) == figures
    finally:
        index.close()


def test_text_finds_runs_by_number_parameter_and_reason_and_its_signs_mean_themselves(
    followed: Followed, tmp_path: Path
) -> None:
    write_run(tmp_path, 1, parameters={"data": "north"})
    write_run(tmp_path, 2, ended="failed", reason="no column 100% or a_b")
    write_run(tmp_path, 3, parameters={"data": "south"})
    assert followed.runs(text="north") == [1]
    assert followed.runs(text="100%") == [2]
    assert followed.runs(text="a_b column") == [2]
    assert followed.runs(text="%") == [2]
    assert followed.runs(text="'; DROP TABLE run; --") == []
    assert followed.runs(state="failed") == [2]
    assert followed.runs() == [3, 2, 1]


def test_a_run_that_holds_no_lock_and_has_not_ended_is_killed(followed: Followed, tmp_path: Path) -> None:
    write_run(tmp_path, 1, ended="")
    assert followed.row(1)["state"] == "killed"
    lock = RunLock(StateDirectory(tmp_path).lock)
    lock.acquire(run_id(2), "app")
    write_run(tmp_path, 2, ended="")
    assert [followed.row(number)["state"] for number in (1, 2)] == ["killed", "running"]
    assert followed.runs(state="running") == [2]
    assert followed.row(2)["doing"] == "train/triage"
    lock.release()
    assert followed.row(2)["state"] == "killed"


def test_a_journal_is_read_on_from_where_it_was_read_to(followed: Followed, tmp_path: Path) -> None:
    lock = RunLock(StateDirectory(tmp_path).lock)
    StateDirectory(tmp_path).make()
    lock.acquire(run_id(1), "app")
    write_run(tmp_path, 1, ended="")
    assert followed.row(1)["done"] == 0
    journal = StateDirectory(tmp_path).journal(run_id(1))
    line = msgspec.json.encode(
        seen(START, "train/triage", "step-ended", state="done", result={"metrics": {"loss": 2.0}})
    )
    with journal.open("ab") as file:
        file.write(line[:30])
    assert followed.row(1)["done"] == 0
    with journal.open("ab") as file:
        file.write(line[30:] + b"\n")
    row = followed.row(1)
    assert (row["done"], row["headline"]) == (1, [["triage loss", 2.0]])
    lock.release()


def test_lines_that_are_no_observations_are_passed_over(tmp_path: Path) -> None:
    run = write_run(tmp_path, 1, {"loss": 1.0})
    journal = StateDirectory(tmp_path).journal(run)
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([lines[0], b"\xff{", b"[" * 2000, b'{"fact": {"event": "unheard"}}', *lines[1:]]))
    reader = JournalReader(journal)
    assert reader.read()
    assert (reader.row.state, reader.row.figures) == ("done", {"triage loss": 1.0})
    assert not reader.read()


def test_a_run_whose_plan_is_not_written_is_none_yet(followed: Followed, tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.make()
    (state.runs / run_id(1)).mkdir()
    assert followed.runs() == []
    with Journal(state.journal(run_id(1))) as journal:
        journal.append(planned(1))
    assert followed.runs() == [1]


def test_runs_that_were_deleted_are_gone(followed: Followed, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_run(tmp_path, number)
    assert followed.runs() == [3, 2, 1]
    shutil.rmtree(StateDirectory(tmp_path).runs / run_id(2))
    assert followed.runs() == [3, 1]


def test_an_index_is_kept_and_only_what_has_changed_is_read_again(tmp_path: Path) -> None:
    for number in (1, 2):
        write_run(tmp_path, number, {"loss": float(number)})
    index = RunIndex(tmp_path / "index")
    Followed(tmp_path, index).runs()
    index.close()
    write_run(tmp_path, 3)
    index = RunIndex(tmp_path / "index")
    again = Followed(tmp_path, index)
    assert [row["number"] for row in index.page(Query()).rows] == [2, 1]
    again.follower.tick()
    assert again.runs(sort="figure:triage loss", columns=["triage loss"]) == [2, 1, 3]
    index.close()


@pytest.mark.parametrize("damage", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_an_index_that_is_damaged_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    write_run(tmp_path, 1, {"loss": 1.0})
    index = RunIndex(tmp_path / "index")
    Followed(tmp_path, index).runs()
    index.close()
    for each in (tmp_path / "index").glob("runs.sqlite*"):
        each.write_bytes(damage)
    index = RunIndex(tmp_path / "index")
    assert Followed(tmp_path, index).runs(columns=["triage loss"]) == [1]
    index.close()


def test_two_servers_of_one_directory_do_not_disturb_each_other(tmp_path: Path) -> None:
    write_run(tmp_path, 1)
    one, other = RunIndex(tmp_path / "index"), RunIndex(tmp_path / "index")
    try:
        assert Followed(tmp_path, one).runs() == Followed(tmp_path, other).runs() == [1]
    finally:
        one.close()
        other.close()


def test_a_run_is_found_by_its_number_or_the_beginning_of_its_id(followed: Followed, tmp_path: Path) -> None:
    for number in (1, 2):
        write_run(tmp_path, number)
    followed.runs()
    assert followed.index.find("2") == run_id(2)
    assert followed.index.find(run_id(1)[:-3]) == run_id(1)
    assert followed.index.find("2026") is None
    assert followed.index.find("3") is None
    assert followed.index.find("") is None


def test_runs_of_an_application_that_had_none_are_found(followed: Followed, tmp_path: Path) -> None:
    assert followed.runs() == []
    write_run(tmp_path, 1)
    assert followed.runs() == [1]


def test_names_of_figures_are_found_by_their_words(followed: Followed, tmp_path: Path) -> None:
    write_run(tmp_path, 1, {f"layer {n} loss": 0.5 for n in range(300)})
    write_run(tmp_path, 2, {"accuracy": 0.9})
    followed.runs()
    names, count = followed.index.columns("LAYER 29 loss", 5)
    assert (names, count) == (["triage layer 29 loss", *(f"triage layer {n} loss" for n in (129, 229, 290, 291))], 13)
    assert followed.index.columns("", 5)[1] == 301


def test_looking_for_the_holder_of_a_lock_never_takes_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert noted_holder(path) is None
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(msgspec.json.encode(Holder(pid=os.getpid(), run="r", application="a", since=datetime.now(UTC))))
        file.flush()
        found = noted_holder(path)
        assert found is not None
        assert found.run == "r"


def test_places_are_this_machine_and_each_context_that_runs_name(tmp_path: Path) -> None:
    directory = tmp_path / "triage"
    directory.mkdir()
    write_run(directory, 1)
    context = "arn:aws:eks:eu-west-1:1:cluster/prod"
    state = StateDirectory(directory, context)
    state.make()
    with Journal(state.journal(run_id(1))) as journal:
        journal.append(planned(1, target=context))
    other = tmp_path / "other" / "triage"
    other.mkdir(parents=True)
    found = places([directory, other], ["spare"])
    assert [each.id for each in found] == [
        "triage",
        "triage@spare",
        "triage@arn:aws:eks:eu-west-1:1:cluster-prod",
        "triage~2",
        "triage@spare~2",
    ]
    assert [each.target for each in found][:3] == ["local", "spare", context]
    assert found[2].state.runs == state.runs
