"""The curves of a training's metrics.jsonl."""

from __future__ import annotations

from pathlib import Path

import pytest

from plimsoll.engine.history import RunHistory, StepHistory
from plimsoll.report.page import page
from plimsoll.report.write import gather_report
from plimsoll.state.curves import Row, joined
from plimsoll.state.directory import StateDirectory
from plimsoll.state.results import Result


def test_a_curve_has_the_finite_points_and_whatever_else_is_there_spoils_no_report(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    output = state.output("key")
    output.mkdir(parents=True)
    lines = [
        '{"step": 1, "loss": 0.5}',
        '{"step": 2, "loss": NaN}',
        '{"step": 3, "loss": 1' + "0" * 5000 + "}",
        '{"step": 4, "loss": true}',
        '{"step": NaN, "loss": 1}',
        "[" * 100_000,
        '{"step": 5, "\\ud800": 1}',
        '{"step": 6, "loss": 0.25}',
    ]
    (output / "metrics.jsonl").write_bytes("\n".join(lines).encode() + b"\n\xff\n")
    run = RunHistory(run="r", application="a", target="local", steps=(StepHistory(name="train/triage", key="key"),))

    report = gather_report(state, run)

    assert report.curves["triage"]["loss"] == ((1.0, 0.5), (6.0, 0.25))
    assert page(report).encode(errors="backslashreplace")


@pytest.mark.parametrize(
    ("earlier", "later", "curve"),
    [
        ([1, 2, 3], [3, 4], [1, 2, 3, 4]),
        ([1, 2, 3], [1, 2], [1, 2]),
        ([1, 2], [5, 6], [1, 2, 5, 6]),
        ([1, 2], [], [1, 2]),
        ([], [4], [4]),
        ([1, 2, 3], [0], [0]),
    ],
)
def test_points_of_a_later_attempt_replace_those_from_its_first_step_on(
    earlier: list[float], later: list[float], curve: list[float]
) -> None:
    rows = joined([Row(step, {"loss": 1.0}) for step in earlier], [Row(step, {"loss": 2.0}) for step in later])
    assert [row.step for row in rows] == curve
    assert [row.figures["loss"] for row in rows if row.step in later] == [2.0] * len(later)


def _write_points(state: StateDirectory, key: str, steps: range) -> None:
    output = state.fresh_work(key) / "output"
    lines = [f'{{"step": {step}, "loss": {1 / step}}}' for step in steps]
    # The last line was cut short by a kill.
    (output / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 9']) + "\n")


def test_a_curve_goes_on_over_kills_and_failures_and_is_there_while_it_goes_on(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.make()
    _write_points(state, "k", range(1, 4))
    state.clear_work()
    _write_points(state, "k", range(3, 6))
    assert [step for step, _ in state.curve("k")["loss"]] == [1, 2, 3, 4, 5]
    state.discard_work("k")
    _write_points(state, "k", range(5, 7))
    state.commit("k", Result())
    steps = [step for step, _ in StateDirectory(tmp_path).curve("k")["loss"]]
    assert steps == [1, 2, 3, 4, 5, 6]
    state.forget_attempts("k")
    assert [step for step, _ in state.curve("k")["loss"]] == [5, 6]
