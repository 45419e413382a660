"""The report of a run as a self-contained HTML page. Pure, except that it reads its template."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.application.parameters import as_text
from plimsoll.engine.history import StepHistory
from plimsoll.report.charts import MAX_STEPS, bars, curve, flow, timings
from plimsoll.report.contents import (
    RunReport,
    amount,
    comparisons,
    duration,
    load_line,
    number,
    outcome,
    plain_metrics,
)
from plimsoll.report.service_examples import service_examples
from plimsoll.report.sweeps import listed, plot
from plimsoll.report.terminal import SIGNS

if TYPE_CHECKING:
    from jinja2 import Template

MAX_WORKERS = 64
"""Limit of listed processes."""


@functools.cache
def template() -> Template:
    """Load the template. It takes a tenth of a second, so `report.write.preload_template` does it while steps run."""
    from jinja2 import Environment, FileSystemLoader

    templates = FileSystemLoader(Path(__file__).with_name("templates"))
    return Environment(loader=templates, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        "page.html"
    )


def page(report: RunReport) -> str:
    """The page; every text from the run is escaped."""
    run = report.history
    workers = [(step, worker) for step in run.steps for worker in step.workers][:MAX_WORKERS]
    return template().render(
        run=run,
        load_line=load_line(run),
        models=report.models,
        compared=[comparisons(model.metrics) for model in report.models],
        flow=flow(run),
        failures=[step for step in run.steps if step.state == "failed"],
        timings=timings(run),
        steps=_most_relevant(run.steps),
        curves=[
            (name, drawing)
            for name, series in report.curves.items()
            if (drawing := curve(series, f"Training of {name}"))
        ],
        bars=[bars(comparisons(model.metrics)) for model in report.models],
        workers=workers,
        versions=report.versions,
        examples=list(service_examples(run)),
        sweep=report.sweep,
        sweep_plot=plot(report.sweep) if report.sweep else "",
        as_text=as_text,
        sweep_rows=listed(report.sweep) if report.sweep else [],
        signs=SIGNS,
        duration=duration,
        number=number,
        amount=amount,
        outcome=outcome,
        plain=plain_metrics,
    )


def _most_relevant(steps: tuple[StepHistory, ...]) -> list[StepHistory]:
    """All steps, or at most `MAX_STEPS` of them: steps that did not succeed, then the longest."""
    if len(steps) <= MAX_STEPS:
        return list(steps)
    ranked = sorted(steps, key=lambda step: (step.state == "done", -step.seconds))[:MAX_STEPS]
    return sorted(ranked, key=steps.index)
