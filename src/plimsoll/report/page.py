"""The report as one HTML page that needs nothing else. Pure."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.engine.history import StepHistory
from plimsoll.report.charts import MOST, bars, curve, flow, timings
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
from plimsoll.report.terminal import SIGNS

if TYPE_CHECKING:
    from jinja2 import Template

MOST_WORKERS = 64
"""Rows of processes; a page for people has no use for more."""


@functools.cache
def template() -> Template:
    """The page's template. Reading it takes a tenth of a second, which a caller may spend while something else runs."""
    from jinja2 import Environment, FileSystemLoader

    templates = FileSystemLoader(Path(__file__).with_name("templates"))
    return Environment(loader=templates, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        "page.html"
    )


def page(report: RunReport) -> str:
    """The whole page; every text from the run is escaped."""
    run = report.history
    workers = [(step, worker) for step in run.steps for worker in step.workers][:MOST_WORKERS]
    return template().render(
        run=run,
        load_line=load_line(run),
        models=report.models,
        compared=[comparisons(model.metrics) for model in report.models],
        flow=flow(run),
        failures=[step for step in run.steps if step.state == "failed"],
        timings=timings(run),
        steps=_telling(run.steps),
        curves=[
            (name, drawing)
            for name, series in report.curves.items()
            if (drawing := curve(series, f"Training of {name}"))
        ],
        bars=[bars(comparisons(model.metrics)) for model in report.models],
        workers=workers,
        versions=report.versions,
        signs=SIGNS,
        duration=duration,
        number=number,
        amount=amount,
        outcome=outcome,
        plain=plain_metrics,
    )


def _telling(steps: tuple[StepHistory, ...]) -> list[StepHistory]:
    """All steps, or of very many those that say most: what went wrong, then what took longest."""
    if len(steps) <= MOST:
        return list(steps)
    ranked = sorted(steps, key=lambda step: (step.state == "done", -step.seconds))[:MOST]
    return sorted(ranked, key=steps.index)
