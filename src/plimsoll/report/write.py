"""Gathers a run's results on this machine into a report, and writes the page."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from plimsoll import __version__
from plimsoll.engine.history import RunHistory, StepHistory
from plimsoll.engine.run_status import run_status
from plimsoll.engine.sweep.trials import sweep_of
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import read_journal
from plimsoll.files import replace_file
from plimsoll.kinds.model import RegisterResult, TrainGang
from plimsoll.report.contents import ModelReport, Point, RunReport
from plimsoll.state.directory import StateDirectory
from plimsoll.state.results import Result
from plimsoll.targets.models import model_registry
from plimsoll.targets.versions import installed_version

CURVE = "metrics.jsonl"


def report_path(state: StateDirectory, run: str) -> Path:
    """The path of a run's page."""
    return state.runs / run / "report.html"


def preload_template() -> None:
    """Load the template of the page on a separate thread while steps run."""
    from plimsoll.report.page import template

    threading.Thread(target=template, daemon=True, name="report").start()


def write_report(state: StateDirectory, run: str, results: Mapping[str, type[Result]] | None = None) -> Path:
    """Write the page of a run; returns its path."""
    from plimsoll.report.page import page

    path = report_path(state, run)
    replace_file(path, page(gather_report(state, run_status(state, run, results))).encode(errors="backslashreplace"))
    return path


def terminal_report(
    state: StateDirectory, run: str, width: int, colour: bool, results: Mapping[str, type[Result]] | None = None
) -> list[str]:
    """The report of a run as lines for the terminal."""
    from plimsoll.report.terminal import terminal_lines

    return terminal_lines(gather_report(state, run_status(state, run, results)), width, colour)


def gather_report(state: StateDirectory, run: RunHistory) -> RunReport:
    """Collect models, curves and versions for the history of a run."""
    versions = {"plimsoll": __version__, "onnxruntime": installed_version("onnxruntime")}
    models = tuple(model for step in run.steps if (model := _model(state, step)))
    sweep = sweep_of(read_journal(state.journal(run.run))) if run.sweep else None
    # Of a sweep only the winner's: hundreds of curves are no report.
    winner = sweep.best.train if sweep and sweep.best else ""
    trained = [step for step in run.steps if step.verb == TrainGang.verb and (sweep is None or step.name == winner)]
    curves = {step.part: _curve(state.output(step.key) / CURVE) for step in trained}
    return RunReport(
        history=run, models=models, curves={k: v for k, v in curves.items() if v}, versions=versions, sweep=sweep
    )


def _model(state: StateDirectory, step: StepHistory) -> ModelReport | None:
    """The model that a step registered; `None` for other steps and for a model that fails verification."""
    if not isinstance(step.result, RegisterResult):
        return None
    registry = model_registry(state)
    try:
        version = registry.find(f"{step.part}@{step.result.version}")
        opened = registry.open(version)
    except PlimsollError:
        return None
    return ModelReport(
        name=version.name,
        version=version.version,
        digest=version.digest,
        framework=version.framework,
        created=f"{version.created:%Y-%m-%d %H:%M:%S} UTC",
        author=version.author,
        command=version.lineage.command,
        environment=version.lineage.environment,
        metrics=version.metrics,
        accept=version.accept,
        refusals=version.refusals,
        data=version.lineage.data,
        code=version.lineage.code,
        signed_by=opened.signed_by,
    )


def _curve(path: Path) -> dict[str, tuple[Point, ...]]:
    """Read series by name from lines of `{"step": n, name: number, …}`; what is no finite number is skipped."""
    series: dict[str, list[Point]] = {}
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    for line in lines:
        numbers = dict(_numbers(line))
        step = numbers.pop("step", None)
        if step is not None:
            for name, value in numbers.items():
                series.setdefault(name, []).append((step, value))
    return {name: tuple(points) for name, points in series.items()}


def _numbers(line: str) -> Iterator[tuple[str, float]]:
    try:
        values = json.loads(line, parse_int=float)
    except (ValueError, RecursionError):
        return
    for name, value in values.items() if isinstance(values, dict) else ():
        if isinstance(value, float) and math.isfinite(value):
            yield name, value
