"""Curves as small panels: series share a panel only where each can be seen in it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.report.contents import number
from plimsoll.state.curves import Point

MOST_PANELS = 24
"""Panels of one training; further series are counted."""
MOST_SERIES = 4
"""Series of a panel: more lines cannot be told apart."""
MOST_POINTS = 300
SEEN = 0.2
"""Share of a panel's height that each of its series must take, or the smaller of two looks like a flat line."""
LOGARITHMIC_FROM = 1000.0
"""Ratio of the largest to the smallest value from which positive values have a logarithmic axis."""
_PARTS = re.compile(
    r"(?:^|(?<=[_./\- ]))"
    r"(?:train|training|val|valid|validation|eval|evaluation|test|dev|holdout|p\d\d)"
    r"(?:$|(?=[_./\- ]))"
)


class Line(Struct, frozen=True, kw_only=True):
    """One series: its name, its last value, and its points as an SVG polyline has them, 0 to 100 each way."""

    name: str
    last: str
    points: str


class Panel(Struct, frozen=True, kw_only=True):
    """A panel; `ticks` are the values at its bottom, middle and top, `ends` those at its left and right."""

    title: str
    lines: tuple[Line, ...]
    ticks: tuple[str, str, str]
    ends: tuple[str, str]
    unit: str
    logarithmic: bool = False


class Curves(Struct, frozen=True, kw_only=True):
    """The panels of a training; `left_out` counts the series that have none."""

    panels: tuple[Panel, ...]
    left_out: int = 0


def curves(series: Mapping[str, Sequence[Point]], unit: str = "step") -> Curves:
    """Panels of all series with a finite point; `unit` says what the horizontal axis counts."""
    finite = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in series.items()}
    drawn = {name: points for name, points in finite.items() if points}
    groups = _groups(drawn)
    panels = tuple(_panel({name: drawn[name] for name in names}, unit) for names in groups[:MOST_PANELS])
    return Curves(panels=panels, left_out=sum(map(len, groups[MOST_PANELS:])))


def _groups(drawn: Mapping[str, Sequence[Point]]) -> list[list[str]]:
    """Series that share a panel: of the same figure, such as `train_loss` and `val_loss`, and of the same size."""
    groups: list[list[str]] = []
    for name in drawn:
        for group in groups:
            together = [drawn[one] for one in (*group, name)]
            if len(group) < MOST_SERIES and _figure(group[0]) == _figure(name) and _all_seen(together):
                group.append(name)
                break
        else:
            groups.append([name])
    return groups


def _figure(name: str) -> str:
    """What a series measures: its name without the part of the data, or the percentile, that tells it from its like."""
    return re.sub(r"[_./\- ]+", " ", _PARTS.sub("", name.lower())).strip()


def _all_seen(together: Sequence[Sequence[Point]]) -> bool:
    """Whether each series takes enough of the height of a common axis; one that is constant takes none and is seen."""
    values = [y for points in together for _, y in points]
    axis = _Axis(values)
    heights = []
    for points in together:
        shares = [axis.share(y) for _, y in points]
        heights.append(max(shares) - min(shares))
    return all(height >= SEEN for height in heights if height > 0)


class _Axis:
    """Values as shares of an axis; of positive values over several magnitudes, a logarithmic one."""

    def __init__(self, values: Sequence[float]) -> None:
        self.low, self.high = min(values), max(values)
        # Not a ratio: that of 1e308 and 1e-308 is no number.
        self.logarithmic = self.low > 0 and math.log10(self.high) - math.log10(self.low) >= math.log10(LOGARITHMIC_FROM)

    def share(self, value: float) -> float:
        """0 at the bottom, 1 at the top; in the middle of an axis of one value."""
        if self.low == self.high:
            return 0.5
        low, high, value = (self._scaled(each) for each in (self.low, self.high, value))
        # In halves, because the difference of the largest numbers is infinite.
        return (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5

    def at(self, share: float) -> float:
        """The value at a share of the axis."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        value = low * (1 - share) + high * share
        return math.exp(value) if self.logarithmic else value

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.logarithmic else value


def _panel(series: Mapping[str, Sequence[Point]], unit: str) -> Panel:
    across = _Axis([x for points in series.values() for x, _ in points])
    across.logarithmic = False
    up = _Axis([y for points in series.values() for _, y in points])
    lines = []
    for name, points in series.items():
        thin = [*points[:: max(1, len(points) // MOST_POINTS)], points[-1]]
        dots = " ".join(f"{across.share(x) * 100:.1f},{100 - up.share(y) * 100:.1f}" for x, y in thin)
        if len(points) == 1:
            # A line of one point would not be seen.
            y = 100 - up.share(points[0][1]) * 100
            dots = f"47,{y:.1f} 53,{y:.1f}"
        lines.append(Line(name=name, last=number(points[-1][1]), points=dots))
    figure = _figure(next(iter(series)))
    title = figure if len(series) > 1 and figure else ", ".join(name.replace("_", " ") for name in series)
    return Panel(
        title=title,
        lines=tuple(lines),
        ticks=(number(up.low), "" if up.low == up.high else number(up.at(0.5)), number(up.high)),
        ends=(number(across.low), number(across.high) if across.high > across.low else ""),
        unit=unit,
        logarithmic=up.logarithmic,
    )
