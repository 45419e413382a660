"""How far a training is, by the end of its curve."""

from __future__ import annotations

from pathlib import Path

from plimsoll.engine.history import RunHistory, StepHistory
from plimsoll.report.newest_point import TAIL, newest_point, newest_points
from plimsoll.state.curves import Row, write_rows
from plimsoll.state.directory import StateDirectory


def test_the_newest_point_is_the_last_whole_line_with_a_step(tmp_path: Path) -> None:
    curve = tmp_path / "metrics.jsonl"
    assert newest_point(curve) == {}
    curve.write_text("")
    assert newest_point(curve) == {}
    curve.write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25, "note": "warm", "bad": NaN}\n{"st')
    assert newest_point(curve) == {"step": 2.0, "loss": 0.25}
    curve.write_text('{"loss": 0.5}\n[1]\n"step"\nno line\n')
    assert newest_point(curve) == {}


def test_of_a_long_curve_only_the_end_is_read(tmp_path: Path) -> None:
    curve = tmp_path / "metrics.jsonl"
    lines = "".join(f'{{"step": {step}, "loss": {1 / step}}}\n' for step in range(1, 10_000))
    assert len(lines) > 2 * TAIL
    curve.write_text(lines)
    assert newest_point(curve)["step"] == 9_999


def test_points_that_pods_have_left_are_told_as_those_of_this_machine_are(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    state.make()
    training = StepHistory(name="train/m", key="k", state="running")
    run = RunHistory(run="r", application="a", target="lab", steps=(training,))
    assert newest_points(state, run) == {}
    write_rows(state.earlier_points("k"), [Row(1.0, {"loss": 5.0}), Row(2.0, {"loss": 4.0})])
    assert newest_points(state, run) == {"train/m": {"step": 2.0, "loss": 4.0}}
    output = state.fresh_work("k") / "output"
    (output / "metrics.jsonl").write_text('{"step": 3, "loss": 3}\n')
    assert newest_points(state, run) == {"train/m": {"step": 3.0, "loss": 3.0}}
