"""The report of a run as a self-contained HTML page. Pure, except that it reads its template."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from plimsoll.application.parameters import as_text
from plimsoll.engine.history import StepHistory
from plimsoll.report.charts import Chart, bars, spans, timings
from plimsoll.report.contents import (
    amount,
    comparisons,
    duration,
    load_line,
    number,
    outcome,
    plain_metrics,
    worker_end,
)
from plimsoll.report.curves import Curves, curves
from plimsoll.report.flow import MAX_STEPS, flow
from plimsoll.report.run_report import RunReport
from plimsoll.report.service_examples import service_examples
from plimsoll.report.sweeps import listed, plot
from plimsoll.report.terminal import SIGNS
from plimsoll.report.traffic import ServiceReport, over_time, quantile

if TYPE_CHECKING:
    from jinja2 import Template

MAX_WORKERS = 64
"""Limit of listed processes."""
MOST_ALARMS = 40
"""Alarms of drift of a service that are drawn, the newest."""


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
    workers = [(step, worker) for step in run.steps for worker in step.workers]
    steps = _most_relevant(run.steps)
    return template().render(
        run=run,
        load_line=load_line(run),
        models=report.models,
        compared=[comparisons(model.metrics) for model in report.models],
        flow=flow(run),
        failures=[step for step in run.steps if step.state == "failed"],
        timings=timings(run, steps),
        steps=steps,
        curves={name: curves(series) for name, series in report.curves.items()},
        bars=[bars(comparisons(model.metrics)) for model in report.models],
        evaluations=report.evaluations,
        services=[(service, *_service_charts(service)) for service in report.services],
        workers=[(step, worker, worker_end(worker, run, report.live)) for step, worker in workers[:MAX_WORKERS]],
        more_workers=max(len(workers) - MAX_WORKERS, 0),
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


def _service_charts(service: ServiceReport) -> tuple[Curves, Chart | None, dict[str, str]]:
    """The curves of a service's requests, its alarms over time, and percentiles of its latency in words."""
    drawn = curves(over_time(service.requests), "minute")
    seconds = sorted(request.seconds for request in service.requests)
    told = {f"p{share * 100:g}": duration(quantile(seconds, share)) for share in (0.5, 0.9, 0.99)} if seconds else {}
    alarms = service.alarms[-MOST_ALARMS:]
    until = service.until
    if not alarms or until is None:
        return drawn, None, told
    begin = min(service.began or alarms[0].raised, alarms[0].raised)
    rows = [
        (each.words, each.raised, each.cleared or until, f"{each.cleared:%H:%M}" if each.cleared else "still")
        for each in alarms
    ]
    return drawn, spans("Alarms, and until when", rows, begin, until), told


def _most_relevant(steps: tuple[StepHistory, ...]) -> list[StepHistory]:
    """All steps, or at most `MAX_STEPS` of them: steps that did not succeed, then the longest."""
    if len(steps) <= MAX_STEPS:
        return list(steps)
    ranked = sorted(steps, key=lambda step: (step.state == "done", -step.seconds))[:MAX_STEPS]
    return sorted(ranked, key=steps.index)
