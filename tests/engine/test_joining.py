"""What a run tells others of itself, and what its user is told of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.cli.progress import ProgressPrinter
from plimsoll.engine.application_run import ApplicationRun
from plimsoll.engine.preparation import prepare
from plimsoll.errors import TargetError
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.run_events import RunPlanned, event_of
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.memory import MemoryTarget
from plimsoll.targets.port import RunRequest

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: t}
spec:
  datasets: {d: {run: %s, outputs: [x]}}
"""


class Shared(MemoryTarget):
    """A target on which somebody else's run goes on."""

    def __init__(self, directory: Path, joins: str = "", refusal: TargetError | None = None) -> None:
        super().__init__(state=StateDirectory(directory, "memory"))
        self.requests: list[RunRequest] = []
        self.ended = 0
        self._joins, self._refusal = joins, refusal

    def begin(self, request: RunRequest | None = None) -> int:
        assert request is not None
        self.requests.append(request)
        if self._refusal is not None:
            raise self._refusal
        request.say("run 3 of ada@laptop carries this out\x1b[2J already")
        return 0

    def joined(self) -> str:
        return self._joins

    def steps_ended(self) -> None:
        self.ended += 1


def run_on(target: Shared, place: Path, command: str = "a") -> tuple[ApplicationRun, list[str]]:
    (place / "plimsoll.yaml").write_text(FILE % command)
    run = ApplicationRun(prepare(place / "plimsoll.yaml", target))
    lines: list[str] = []
    progress = ProgressPrinter(lines.append, place)
    try:
        run.carry_out(progress)
    finally:
        progress.close()
    return run, lines


def test_the_same_files_are_the_same_content_wherever_they_lie(tmp_path: Path) -> None:
    contents = []
    for name, command in (("ada", "a"), ("bob", "a"), ("carol", "b")):
        (tmp_path / name).mkdir()
        target = Shared(tmp_path / name)
        run_on(target, tmp_path / name, command)
        contents.append(target.requests[0].content)
    assert contents[0] == contents[1] != contents[2]


def test_runs_of_a_directory_are_counted_for_others(tmp_path: Path) -> None:
    target = Shared(tmp_path)
    for _ in range(2):
        run_on(target, tmp_path)
    assert [each.number for each in target.requests] == [1, 2]
    assert target.ended == 2


def test_a_user_is_told_of_the_other_run_first_and_whether_it_goes_on(tmp_path: Path) -> None:
    run, lines = run_on(Shared(tmp_path, joins="run 3 of ada@laptop"), tmp_path)
    assert lines[0] == r"run 3 of ada@laptop carries this out\u001b[2J already"
    assert lines[1].startswith("t on memory, run ")
    assert run.goes_on == "run 3 of ada@laptop"
    planned = event_of(next(iter(read_journal(run.prepared.state.journal(run.id)))))
    assert isinstance(planned, RunPlanned)
    assert planned.joins == "run 3 of ada@laptop"


def test_a_run_that_is_refused_lets_go_of_its_directory(tmp_path: Path) -> None:
    refused = Shared(tmp_path, refusal=TargetError("run 3 of ada@laptop carries out other content"))
    with pytest.raises(TargetError, match="other content"):
        run_on(refused, tmp_path)
    target = Shared(tmp_path)
    run, _ = run_on(target, tmp_path)
    assert run.goes_on == ""
    assert target.requests[0].number == 1
