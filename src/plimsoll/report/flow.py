"""The flow of steps as SVG text: in columns for a wide page, below each other for a narrow one. Pure.

Text keeps its size: a drawing is never scaled to its page. Which of the two is shown is decided by the page's width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from msgspec import Struct

from plimsoll.engine.history import RunHistory, StepHistory
from plimsoll.report.contents import duration, layers
from plimsoll.report.flow_layout import Layout, Place, flow_layout, lanes
from plimsoll.report.terminal import SIGNS
from plimsoll.report.text_width import wrapped

MAX_STEPS = 60
"""Limit of steps that are drawn: a picture of more would be large and unclear."""
PAGE = 1080
"""Widest content of the page."""
GAP_X = 40
NARROWEST, WIDEST = 124, 200
"""Widths of a box in columns."""
TALL_BOX, TALL_GAP, MOST_GUTTER = 252, 10, 84
"""Width of a box, and gap, where boxes stand below each other; most that the lines beside them take."""
FONT, SMALL, LINE, PAD = 13, 12, 16, 10
MOST_LINES = 10
"""Lines of a name. One of 63 wide characters, the longest in a file, has no more in the narrowest box."""


class Flow(Struct, frozen=True, kw_only=True):
    """Both drawings. `wide`, which is shown from a page width of `from_`, is empty where no page is that wide."""

    wide: str = ""
    tall: str = ""
    from_: int = 0


class _Words(Struct, frozen=True):
    """The lines of a box: the name of the part, then what the step does and how long it took."""

    name: Sequence[str]
    about: Sequence[str]

    @property
    def high(self) -> float:
        """The height of their box."""
        return (len(self.name) + len(self.about)) * LINE + 14


def flow(run: RunHistory) -> Flow:
    """Draw the steps with lines to those that need them; nothing above `MAX_STEPS`."""
    if not run.steps or len(run.steps) > MAX_STEPS:
        return Flow()
    count = len(layers(run))
    box = (PAGE - (count - 1) * GAP_X) / count
    tall = _tall(run)
    if box < NARROWEST:
        return Flow(tall=tall)
    box = min(int(box), WIDEST)
    width = count * (box + GAP_X) - GAP_X
    return Flow(wide=_wide(run, box, width), tall=tall, from_=width + 60)


def _wide(run: RunHistory, box: int, width: int) -> str:
    words = {step.name: _words(step, box) for step in run.steps}
    layout = flow_layout(run, {name: each.high for name, each in words.items()})
    parts = [_links(layout, words, box)]
    for number, column in enumerate(layout.columns):
        for place, y in column.items():
            if not place.passes:
                step = run.step(place.step)
                parts.append(_box(step, words[step.name], number * (box + GAP_X), y, box))
    return _svg(width, layout.height, parts, "flow-wide")


def _links(layout: Layout, words: Mapping[str, _Words], box: int) -> str:
    """One path for each piece of a line, which stays in the gap between two columns or in its place in a column."""

    def middle(column: int, place: Place) -> float:
        return layout.columns[column][place] + (4 if place.passes else words[place.step].high / 2)

    parts = []
    for begin, start, end in layout.links:
        x = begin * (box + GAP_X) + box
        y1, y2 = middle(begin, start), middle(begin + 1, end)
        bend = GAP_X / 2
        right = x + GAP_X
        parts.append(
            f'<path class="link" d="M{x} {y1:.1f}C{x + bend:g} {y1:.1f} {right - bend:g} {y2:.1f} {right} {y2:.1f}"/>'
        )
        parts.append(f'<path class="link" d="M{right} {y2:.1f}h{box}"/>' if end.passes else _arrow(right, y2))
    return "".join(parts)


def _tall(run: RunHistory) -> str:
    words = {step.name: _words(step, TALL_BOX) for step in run.steps}
    tops: dict[str, float] = {}
    y = 0.0
    for step in run.steps:
        tops[step.name] = y
        y += words[step.name].high + TALL_GAP
    found = lanes(run)
    count = 1 + max((each.lane for each in found), default=-1)
    pitch = min(9.0, (MOST_GUTTER - 14) / max(count, 1))
    gutter = count * pitch + 14 if count else 0
    parts = []
    for each in found:
        x = gutter - 12 - each.lane * pitch
        # A line leaves a box below the middle and comes in above it, so that the two are told apart.
        leaves = tops[each.step] + words[each.step].high * 0.7
        arrives = [tops[name] + words[name].high * 0.35 for name in each.targets]
        parts.append(f'<path class="link" d="M{gutter:g} {leaves:.1f}H{x:.1f}V{max(arrives):.1f}"/>')
        for end in arrives:
            parts.append(f'<path class="link" d="M{x:.1f} {end:.1f}H{gutter:g}"/>{_arrow(gutter, end)}')
    parts += [_box(step, words[step.name], gutter, tops[step.name], TALL_BOX) for step in run.steps]
    return _svg(gutter + TALL_BOX, y - TALL_GAP, parts, "flow-tall")


def _words(step: StepHistory, box: int) -> _Words:
    verb, _, part = step.name.partition("/")
    took = "unchanged" if step.cached else duration(step.seconds) if step.ended else step.state
    inside = box - 2 * PAD
    return _Words(
        wrapped(f"{SIGNS.get(step.state, '?')} {part}", inside, FONT, MOST_LINES),
        wrapped(f"{verb} · {took}", inside, SMALL, 2),
    )


def _box(step: StepHistory, words: _Words, x: float, y: float, wide: int) -> str:
    state = "cached" if step.cached else step.state
    lines = [("", line) for line in words.name] + [(' class="quiet"', line) for line in words.about]
    texts = "".join(
        f'<text{kind} x="{x + PAD:g}" y="{y + 19 + place * LINE:g}">{escape(line)}</text>'
        for place, (kind, line) in enumerate(lines)
    )
    return (
        f'<g class="step {state}"><title>{escape(step.name)}: {escape(step.state)}</title>'
        f'<rect x="{x + 1:g}" y="{y + 1:g}" width="{wide - 2}" height="{words.high - 2:g}" rx="9"/>{texts}</g>'
    )


def _arrow(x: float, y: float) -> str:
    return f'<path class="arrow" d="M{x:g} {y:.1f}l-6 -3.5v7z"/>'


def _svg(width: float, height: float, parts: Sequence[str], name: str) -> str:
    size = f'viewBox="0 0 {width:g} {height:g}" style="max-width:{width:g}px"'
    title = "The flow of steps"
    return f'<svg class="{name}" {size} role="img" aria-label="{title}"><title>{title}</title>{"".join(parts)}</svg>'
