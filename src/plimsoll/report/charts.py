"""Charts of a page: rows of bars on one scale, and small panels of curves. Pure.

All text is of the page and not of a drawing, so that it wraps, is never scaled, and can be selected. Colours are
classes of the page's style sheet, which work in light and dark mode and in print.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from plimsoll.engine.history import RunHistory, StepHistory, WorkerHistory
from plimsoll.report.contents import BaselineComparison, duration, number

MOST_WORKERS = 8
"""Workers of a step that have a bar of their own."""


class Bar(Struct, frozen=True, kw_only=True):
    """A bar from `left`, `wide` long, in percent of its row. `kind` is a class of the style sheet."""

    left: float
    wide: float
    kind: str
    title: str = ""


class Row(Struct, frozen=True, kw_only=True):
    """A row of a chart: its name, its bars (`thin` ones below the first), and its figure."""

    name: str
    bars: tuple[Bar, ...] = ()
    thin: tuple[Bar, ...] = ()
    figure: str = ""


class Chart(Struct, frozen=True, kw_only=True):
    """Rows on one scale under a title."""

    title: str
    rows: tuple[Row, ...]


def timings(run: RunHistory, steps: Sequence[StepHistory]) -> Chart | None:
    """A bar for each step that ran, on one time scale, and a thin bar for each of its workers; None without any."""
    ran = [(step, step.started, step.ended) for step in steps if step.started and step.ended and not step.cached]
    if not ran:
        return None
    begin = min(started for _, started, _ in ran)
    end = max(begin, *(max(started, ended) for _, started, ended in ran))
    rows = []
    for step, started, ended in ran:
        workers = step.workers[:MOST_WORKERS] if len(step.workers) > 1 else ()
        rows.append(
            Row(
                name=step.name,
                bars=(_span(started, ended, begin, end, step.state),),
                thin=tuple(_of_worker(worker, ended, begin, end) for worker in workers),
                figure=duration(step.seconds),
            )
        )
    return Chart(title="How long each step took", rows=tuple(rows))


def _of_worker(worker: WorkerHistory, step_ended: datetime, begin: datetime, end: datetime) -> Bar:
    bad = " failed" if worker.signal or worker.code else ""
    title = f"worker {worker.rank}, attempt {worker.attempt}"
    return _span(worker.started, worker.ended or step_ended, begin, end, f"worker{bad}", title)


def _span(start: datetime, stop: datetime, begin: datetime, end: datetime, kind: str, title: str = "") -> Bar:
    """A bar between two times, cut to those of the row. A clock may have been set back in between."""
    whole = max((end - begin).total_seconds(), 1e-6)
    left = min(max((start - begin).total_seconds() / whole, 0.0), 1.0) * 100
    right = min(max((stop - begin).total_seconds() / whole, 0.0), 1.0) * 100
    return Bar(left=left, wide=max(right - left, 0.0), kind=kind, title=title)


def spans(title: str, rows: Sequence[tuple[str, datetime, datetime, str]], begin: datetime, end: datetime) -> Chart:
    """Rows with one bar each between two times, such as alarms; the last value of each is its figure."""
    return Chart(
        title=title,
        rows=tuple(
            Row(name=name, bars=(_span(start, stop, begin, end, "alarm"),), figure=figure)
            for name, start, stop, figure in rows
        ),
    )


def bars(compared: Sequence[BaselineComparison]) -> tuple[Chart, ...]:
    """The model and its baselines: a chart for each metric, whose largest value fills the row."""
    charts = []
    for metric in dict.fromkeys(comparison.metric for comparison in compared):
        group = [comparison for comparison in compared if comparison.metric == metric]
        rows = [("this model", group[0].value, "model")]
        rows += [(comparison.baseline.replace("_", " "), comparison.baseline_value, "baseline") for comparison in group]
        finite = [abs(value) for _, value, _ in rows if abs(value) < float("inf")]
        most = max([*finite, 1e-300])
        charts.append(
            Chart(
                title=metric.replace("_", " "),
                rows=tuple(
                    Row(name=name, bars=(_length(value, most, kind),), figure=number(value))
                    for name, value, kind in rows
                ),
            )
        )
    return tuple(charts)


def _length(value: float, most: float, kind: str) -> Bar:
    share = abs(value) / most if abs(value) < float("inf") else 0.0
    return Bar(left=0.0, wide=share * 100, kind=kind)
