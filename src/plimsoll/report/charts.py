"""Charts as SVG text: the flow, the timings, training curves, bars against baselines. Pure.

Colours are classes of the page's style sheet, so that one chart works in light and dark mode and in print. A sign shows
the state of a step, not only a colour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from plimsoll.engine.history import RunHistory, StepHistory
from plimsoll.report.contents import BaselineComparison, duration, layers, number
from plimsoll.report.terminal import SIGNS
from plimsoll.state.curves import Point

MAX_STEPS = 60
"""Limit of steps that are drawn: a picture of more would be large and unclear."""
BOX, GAP_X, GAP_Y, HIGH = 168, 44, 14, 46


def flow(run: RunHistory) -> str:
    """Draw steps as boxes in columns, with lines to the steps that need them; empty above `MAX_STEPS`."""
    if len(run.steps) > MAX_STEPS:
        return ""
    columns = layers(run)
    tall = max((len(column) for column in columns), default=0)
    place = {
        step.name: (x * (BOX + GAP_X), (tall - len(column)) * (HIGH + GAP_Y) / 2 + y * (HIGH + GAP_Y))
        for x, column in enumerate(columns)
        for y, step in enumerate(column)
    }
    lines = [_link(place[name], place[step.name]) for step in run.steps for name in step.needs if name in place]
    boxes = [_box(step, *place[step.name]) for step in run.steps]
    width = len(columns) * (BOX + GAP_X) - GAP_X
    return _svg(width, tall * (HIGH + GAP_Y) - GAP_Y, "The flow of steps", [*lines, *boxes])


def _box(step: StepHistory, x: float, y: float) -> str:
    verb, _, part = step.name.partition("/")
    state = "cached" if step.cached else step.state
    took = "unchanged" if step.cached else duration(step.seconds) if step.ended else step.state
    return (
        f'<g class="step {state}"><title>{escape(step.name)}: {escape(step.state)}</title>'
        f'<rect x="{x + 1}" y="{y + 1}" width="{BOX - 2}" height="{HIGH - 2}" rx="9"/>'
        f'<text x="{x + 12}" y="{y + 19}">{SIGNS.get(step.state, "?")} {escape(_short(part, 18))}</text>'
        f'<text class="quiet" x="{x + 12}" y="{y + 36}">{escape(verb)} · {escape(took)}</text></g>'
    )


def _link(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0] + BOX, start[1] + HIGH / 2, end[0], end[1] + HIGH / 2
    bend = (x2 - x1) / 2
    return f'<path class="link" d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"/>'


def timings(run: RunHistory) -> str:
    """Draw a bar for each step that ran, on one time scale, and a thin bar for each of its workers."""
    ran = [step for step in run.steps if step.started and step.ended and not step.cached][:MAX_STEPS]
    if not ran or run.started is None:
        return ""
    begin = min(step.started.timestamp() for step in ran if step.started)
    end = max(step.started.timestamp() + step.seconds for step in ran if step.started)
    scale = 560 / max(end - begin, 1e-6)
    parts, y = [], 0.0
    for step in ran:
        assert step.started and step.ended  # noqa: S101 - chosen above
        x, wide = 180 + (step.started.timestamp() - begin) * scale, step.seconds * scale
        parts.append(f'<text x="0" y="{y + 13}">{escape(_short(step.name, 22))}</text>')
        bar = f'<rect x="{x:.1f}" y="{y + 2}" width="{max(wide, 2):.1f}" height="14" rx="3"/>'
        parts.append(f'<g class="step {step.state}">{bar}</g>')
        label = x + max(wide, 2) + 6
        at_end = label > 700
        anchor = f'x="{x - 6:.1f}" text-anchor="end"' if at_end and x > 260 else f'x="{min(label, 744):.1f}"'
        parts.append(f'<text class="quiet" {anchor} y="{y + 13}">{duration(step.seconds)}</text>')
        y += 20
        for worker in step.workers[:8] if len(step.workers) > 1 else ():
            stop = (worker.ended or step.ended).timestamp()
            bad = " failed" if worker.signal or worker.code else ""
            x = 180 + (worker.started.timestamp() - begin) * scale
            wide = max((stop - worker.started.timestamp()) * scale, 2)
            title = f"worker {worker.rank}, attempt {worker.attempt}"
            where = f'x="{x:.1f}" y="{y}" width="{wide:.1f}" height="5" rx="2"'
            parts.append(f'<rect class="worker{bad}" {where}><title>{title}</title></rect>')
            y += 8
        y += 4
    return _svg(810, y, "How long each step took", parts)


def curve(series: Mapping[str, Sequence[Point]], title: str) -> str:
    """Draw one line for each series over the steps of training, with its last value at the end."""
    drawn = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in series.items()}
    drawn = {name: points for name, points in drawn.items() if points}
    if not drawn:
        return ""
    xs = [x for points in drawn.values() for x, _ in points]
    ys = [y for points in drawn.values() for _, y in points]
    low_x, wide_x = min(xs), max(max(xs) - min(xs), 1e-12)
    low_y, high_y = min(ys), max(ys)
    wide_y = max(high_y - low_y, 1e-12)
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = 180 - share * 160
        parts.append(f'<line class="grid" x1="52" x2="560" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text class="quiet" x="46" y="{y + 4}" text-anchor="end">{number(low_y + share * wide_y)}</text>'
        )
    ends: list[float] = []
    for place, (name, points) in enumerate(drawn.items()):
        thin = points[:: max(1, len(points) // 300)] + points[-1:]
        dots = [(52 + (x - low_x) / wide_x * 508, 180 - (y - low_y) / wide_y * 160) for x, y in thin]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        parts.append(f'<polyline class="series s{place % 4}" points="{path}"/>')
        label = dots[-1][1]
        while any(abs(label - other) < 14 for other in ends):
            label -= 14
        ends.append(label)
        text = f"{_short(name, 22)} {number(points[-1][1])}"
        parts.append(f'<text class="label s{place % 4}" x="568" y="{label + 4:.1f}">{escape(text)}</text>')
    axis = f"{number(low_x)} – {number(max(xs))}, steps of training"
    parts.append(f'<text class="quiet" x="306" y="204" text-anchor="middle">{axis}</text>')
    return _svg(810, 210, title, parts)


def bars(compared: Sequence[BaselineComparison]) -> str:
    """Draw the model and its baselines, one group of bars for each metric."""
    parts, y = [], 0.0
    for metric in dict.fromkeys(comparison.metric for comparison in compared):
        group = [comparison for comparison in compared if comparison.metric == metric]
        rows = [("this model", group[0].value, "model")]
        rows += [(comparison.baseline.replace("_", " "), comparison.baseline_value, "baseline") for comparison in group]
        finite = [abs(value) for _, value, _ in rows if math.isfinite(value)]
        most = max([*finite, 1e-12])
        parts.append(f'<text class="head" x="0" y="{y + 14}">{escape(metric.replace("_", " "))}</text>')
        y += 22
        for name, value, kind in rows:
            wide = abs(value) / most * 380 if math.isfinite(value) else 0
            parts.append(f'<text x="0" y="{y + 13}">{escape(_short(name, 30))}</text>')
            parts.append(f'<rect class="bar {kind}" x="240" y="{y + 2}" width="{wide:.1f}" height="14" rx="3"/>')
            parts.append(f'<text x="{248 + wide:.1f}" y="{y + 13}">{number(value)}</text>')
            y += 20
        y += 10
    return _svg(810, max(y, 1), "The model against its baselines", parts) if parts else ""


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {width:g} {height:g}" style="max-width:{width:g}px"'
    name = escape(title)
    return f'<svg {size} role="img" aria-label="{name}"><title>{name}</title>{"".join(parts)}</svg>'


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
