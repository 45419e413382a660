"""A kind of part that exists only here runs from its file to the report, and nothing in plimsoll knows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from plimsoll.application.loading import ApplicationFile
from plimsoll.application.parts import Part
from plimsoll.engine.application_run import ApplicationRun
from plimsoll.engine.history import RunHistory
from plimsoll.engine.preparation import decide, prepare
from plimsoll.engine.summary import summary
from plimsoll.errors import FileError
from plimsoll.kinds import ingredients
from plimsoll.kinds.dataset import DATASETS
from plimsoll.kinds.table import KINDS
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.keys import setting
from plimsoll.planning.kind import Kind
from plimsoll.planning.planner import Planner
from plimsoll.planning.steps import AnyStep, InputFile, Work
from plimsoll.report.write import terminal_report, write_report
from plimsoll.state.directory import StateDirectory
from plimsoll.state.results import Result
from plimsoll.targets.memory import MemoryAttempt, MemoryTarget

FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: tiny}
spec:
  datasets: {orders: {source: orders.csv}}
  wordcounts: {words: {of: orders, longest: 3}}
"""


class WordCount(Part, frozen=True, kw_only=True):
    """A dataset of which words are counted."""

    of: str
    longest: int = 10


class WordCountResult(Result, frozen=True, kw_only=True, omit_defaults=True):
    """How many words were counted."""

    words: int

    def figure(self) -> str:
        return f"{self.words} words"

    def summary(self) -> Mapping[str, object]:
        return {"words": self.words}


class CountWords(Work, frozen=True, kw_only=True):
    """Count words."""

    verb: ClassVar[str] = "count"
    result: ClassVar[type[Result]] = WordCountResult
    input: InputFile
    longest: int


class WordCountKind(Kind[WordCount]):
    """`spec.wordcounts`."""

    key = "wordcounts"
    part = WordCount
    works = (CountWords,)

    def check(self, file: ApplicationFile) -> None:
        for name, part in self.of(file.application).items():
            DATASETS.check_reference(file, part.of, *self.place(name), "of")

    def plan(self, name: str, part: WordCount, planner: Planner) -> AnyStep:
        (rows,) = DATASETS.inputs(planner, (part.of,))
        made_of = [ingredients.of_input(rows), setting("longest", part.longest)]
        return planner.add(name, CountWords(input=rows, longest=part.longest), made_of, needs=(rows.step,))


WITH_WORD_COUNTS = KINDS.with_kinds(WordCountKind())


def count(attempt: MemoryAttempt) -> Result:
    assert isinstance(attempt.work, CountWords)
    return WordCountResult(words=attempt.work.longest * 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "orders.csv").write_text("a b c\n")
    (tmp_path / "plimsoll.yaml").write_text(FILE)
    return tmp_path / "plimsoll.yaml"


@pytest.fixture
def target(tmp_path: Path) -> MemoryTarget:
    return MemoryTarget(functions={"count": count}, state=StateDirectory(tmp_path, "memory"))


def run(path: Path, target: MemoryTarget) -> RunHistory:
    return ApplicationRun(prepare(path, target, kinds=WITH_WORD_COUNTS)).carry_out()


def test_a_part_of_a_kind_of_the_tests_own_is_carried_from_its_file_to_the_report(
    path: Path, target: MemoryTarget
) -> None:
    history = run(path, target)

    step = history.step("count/words")
    assert step.state == "done"
    assert step.result == WordCountResult(words=6)
    assert summary(history, {}, None, kinds=WITH_WORD_COUNTS)["wordcounts"] == {"words": {"words": 6}}
    shown = terminal_report(target.state, history.run, 80, colour=False, results=WITH_WORD_COUNTS.results)
    assert any("count/words" in line and "6 words" in line for line in shown)
    page = write_report(target.state, history.run, WITH_WORD_COUNTS.results).read_text()
    assert "count/words" in page
    assert "6 words" in page


def test_its_step_is_cached_until_a_setting_of_its_part_changes(path: Path, target: MemoryTarget) -> None:
    run(path, target)
    assert run(path, target).step("count/words").cached
    path.write_text(FILE.replace("longest: 3", "longest: 4"))
    (decision,) = (each for each in decide(prepare(path, target, kinds=WITH_WORD_COUNTS)) if each.step == "count/words")
    assert (decision.runs, decision.why) == (True, "setting changed: longest")


def test_its_mistakes_are_told_with_their_place_in_the_file(path: Path, target: MemoryTarget) -> None:
    path.write_text(FILE.replace("of: orders", "of: order"))
    with pytest.raises(FileError, match=r"plimsoll.yaml:6:28: there is no dataset 'order'\n  did you mean 'orders'"):
        prepare(path, target, kinds=WITH_WORD_COUNTS)
    path.write_text(FILE.replace("longest: 3", "longst: 3"))
    with pytest.raises(FileError, match=r":6:36: unknown key 'longst'"):
        prepare(path, target, kinds=WITH_WORD_COUNTS)


def test_a_target_that_does_not_carry_it_out_says_so_before_anything_starts(path: Path, tmp_path: Path) -> None:
    facts = TargetFacts(target="memory", cpu=1.0, memory=1, verbs=frozenset({"fetch"}))
    target = MemoryTarget(facts, state=StateDirectory(tmp_path, "memory"))
    with pytest.raises(FileError, match=r":6:23: memory does not support 'count' steps"):
        prepare(path, target, kinds=WITH_WORD_COUNTS)
    assert target.started == []


def test_a_file_of_this_kind_is_refused_where_the_kind_is_not_known(path: Path, target: MemoryTarget) -> None:
    with pytest.raises(FileError, match=r":6:3: unknown key 'wordcounts'"):
        prepare(path, target)
