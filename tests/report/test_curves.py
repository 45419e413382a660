"""The curves of a training's metrics.jsonl."""

from __future__ import annotations

from pathlib import Path

from plimsoll.engine.history import RunHistory, StepHistory
from plimsoll.report.page import page
from plimsoll.report.write import gather_report
from plimsoll.state.directory import StateDirectory


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
