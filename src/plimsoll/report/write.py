"""Gathers a run's results on this machine into a report, and writes the page."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from pathlib import Path

from plimsoll import __version__
from plimsoll.engine.curves import curves_of
from plimsoll.engine.history import RunHistory, StepHistory
from plimsoll.engine.run_status import run_status
from plimsoll.engine.sweep.trials import sweep_of
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import read_journal
from plimsoll.files import replace_file
from plimsoll.kinds.batch import Score
from plimsoll.kinds.register import RegisterResult
from plimsoll.kinds.train import TrainGang
from plimsoll.report.contents import ModelReport
from plimsoll.report.evaluation_file import read_batch_evaluation, read_evaluation
from plimsoll.report.run_report import RunReport
from plimsoll.report.service_records import running_processes, service_reports
from plimsoll.state.directory import StateDirectory
from plimsoll.state.results import Result
from plimsoll.targets.cards import read_card
from plimsoll.targets.models import model_registry
from plimsoll.targets.versions import installed_version


def report_path(state: StateDirectory, run: str) -> Path:
    """The path of a run's page."""
    return state.runs / run / "report.html"


def preload_template() -> None:
    """Load the template of the page on a separate thread while steps run."""
    from plimsoll.report.page import template

    threading.Thread(target=template, daemon=True, name="report").start()


def write_report(
    state: StateDirectory, run: str, results: Mapping[str, type[Result]] | None = None, path: Path | None = None
) -> Path:
    """Write the page of a run, in the run's directory or where `path` says; returns its path. Raises OSError."""
    from plimsoll.report.page import page

    path = path or report_path(state, run)
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
    judged = {step.part: read_evaluation(state.on(step.target).output(step.key)) for step in trained} | {
        f"batch {step.part}": read_batch_evaluation(state.on(step.target).output(step.key))
        for step in run.steps
        if step.verb == Score.verb and step.state == "done"
    }
    return RunReport(
        history=run,
        models=models,
        curves=curves_of(state, trained),
        evaluations={name: evaluation for name, evaluation in judged.items() if evaluation},
        services=service_reports(state, run),
        live=running_processes(state),
        versions=versions,
        sweep=sweep,
    )


def _model(state: StateDirectory, step: StepHistory) -> ModelReport | None:
    """The model that a step registered; `None` for other steps and for a model that fails verification."""
    if not isinstance(step.result, RegisterResult):
        return None
    registry = model_registry(state)
    try:
        version = registry.find(step.result.version_of(step.part))
        opened = registry.open(version)
    except PlimsollError:
        return None
    card = None
    with contextlib.suppress(PlimsollError):
        card = read_card(registry, version, state).card
    origin, base = version.lineage.origin, version.lineage.base
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
        commit=f"{version.lineage.commit}{', with changes' if version.lineage.dirty else ''}",
        signed_by=opened.signed_by,
        source=origin.source if origin else "",
        format=origin.format if origin else "",
        licence=origin.licence if origin else "",
        licence_from=origin.licence_from if origin else "",
        base=base.reference if base else "",
        adapter=base.about if base else "",
        card=card,
    )
