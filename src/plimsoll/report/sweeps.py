"""The sweep of a run in its report: a plot of all trials, and what its table shows. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from plimsoll.application.parameters import Parameter, as_text
from plimsoll.engine.sweep.trials import Sweep, Trial
from plimsoll.report.contents import number

MOST_PANELS, MOST_ROWS = 8, 500
"""Parameters that are drawn, and trials that are listed; `plimsoll sweep --json` has all."""
WIDE, HIGH, LEFT, TOP = 238, 150, 52, 30
COLUMNS = 3
_GAP_X, _GAP_Y = 72 + 16, 70
_LABEL = 13
"""Characters of a value below a panel."""

Place = Callable[[Parameter], float]


def plot(sweep: Sweep) -> str:
    """The objective over each parameter, one point a trial; the winner is drawn as a ring. Empty without a value."""
    trials = [each for each in sweep.trials if each.value is not None and math.isfinite(each.value)]
    names = list(sweep.planned.searched)[:MOST_PANELS]
    if not trials or not names:
        return ""
    values = [each.value for each in trials if each.value is not None]
    low, high = min(values), max(values)
    panels = []
    for index, name in enumerate(names):
        x = LEFT + (index % COLUMNS) * (WIDE + _GAP_X - 16)
        y = TOP + (index // COLUMNS) * (HIGH + _GAP_Y)
        panels.append(_panel(sweep, trials, name, (low, high), (x, y)))
    rows = math.ceil(len(names) / COLUMNS)
    wide = LEFT + min(len(names), COLUMNS) * (WIDE + _GAP_X - 16)
    high_all = rows * (HIGH + _GAP_Y) + 4
    title = escape(f"{sweep.planned.objective} of {len(trials)} trials over their parameters")
    size = f'viewBox="0 0 {wide} {high_all}" style="max-width:{wide}px"'
    return f'<svg {size} role="img" aria-label="{title}"><title>{title}</title>{"".join(panels)}</svg>'


def listed(sweep: Sweep) -> list[Trial]:
    """The trials of the table, best first."""
    return sweep.ranked()[:MOST_ROWS]


def _panel(sweep: Sweep, trials: Sequence[Trial], name: str, ends: tuple[float, float], at: tuple[float, float]) -> str:
    x, y = at
    place, labels = axis_of([each.parameters[name] for each in trials], log="log:" in sweep.planned.searched[name])
    low, high = ends
    spread = high - low
    best = sweep.best
    parts = [f'<text class="head" x="{x}" y="{y - 12}">{escape(_short(name, 30))}</text>']
    for share, value in ((0.0, low), (0.5, low + spread / 2), (1.0, high)) if spread else ((0.5, low),):
        line = y + HIGH - share * HIGH
        parts.append(f'<line class="grid" x1="{x}" x2="{x + WIDE}" y1="{line:.1f}" y2="{line:.1f}"/>')
        parts.append(f'<text class="quiet" x="{x - 6}" y="{line + 4:.1f}" text-anchor="end">{number(value)}</text>')
    for share, text in labels:
        anchor = "start" if share < 0.1 else "end" if share > 0.9 else "middle"
        shown = escape(_short(text, _LABEL))
        parts.append(
            f'<text class="quiet" x="{x + share * WIDE:.1f}" y="{y + HIGH + 18}" text-anchor="{anchor}">{shown}</text>'
        )
    for trial in trials:
        assert trial.value is not None  # noqa: S101 - chosen by the caller
        share = (trial.value - low) / spread if spread else 0.5
        cx, cy = x + place(trial.parameters[name]) * WIDE, y + HIGH - share * HIGH
        shape = "best" if best is not None and trial.number == best.number else "yes" if trial.accepted else "no"
        about = escape(f"trial {trial.number}: {name}={as_text(trial.parameters[name])}, {number(trial.value)}")
        radius = 6 if shape == "best" else 3.5
        parts.append(
            f'<circle class="trial {shape}" cx="{cx:.1f}" cy="{cy:.1f}" r="{radius}"><title>{about}</title></circle>'
        )
    return "".join(parts)


def axis_of(values: Sequence[Parameter], *, log: bool) -> tuple[Place, list[tuple[float, str]]]:
    """Where values lie, from 0 to 1, and the labels of the axis."""
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values) or len(set(numbers)) == 1:
        return _steps(values)
    low, high = min(numbers), max(numbers)
    if log and low > 0:
        span = math.log(high) - math.log(low)
        middle = math.exp(math.log(low) + span / 2)
        return lambda value: (math.log(_float(value)) - math.log(low)) / span, _labels(low, middle, high)
    return lambda value: (_float(value) - low) / (high - low), _labels(low, (low + high) / 2, high)


def _steps(values: Sequence[Parameter]) -> tuple[Place, list[tuple[float, str]]]:
    texts = list(dict.fromkeys(map(as_text, values)))
    place = {text: (index + 0.5) / len(texts) for index, text in enumerate(texts)}
    shown = texts if len(texts) <= 3 else [texts[0], texts[-1]]
    return lambda value: place[as_text(value)], [(place[text], text) for text in shown]


def _labels(low: float, middle: float, high: float) -> list[tuple[float, str]]:
    return [(0.0, number(low)), (0.5, number(middle)), (1.0, number(high))]


def _float(value: Parameter) -> float:
    assert isinstance(value, int | float)  # noqa: S101 - the axis is one of numbers
    return float(value)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
