"""The load line as a picture: a ship, its cargo (the requirements) and the water level at its mark. Pure.

The mark stands for all MUSTs. The water is below the mark when every MUST was shown or does not apply, and one step
higher for each other MUST: a mark under water means that the ship carries more than it was shown to bear.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from plimsoll.capabilities.checking import Judged
from plimsoll.capabilities.requirements import MUST, REQUIREMENTS
from plimsoll.evidence.verdict import Outcome

SIGNS = {
    Outcome.PASS: "✓",
    Outcome.FAIL: "✗",
    Outcome.NOT_IMPLEMENTED: "○",
    Outcome.NOT_APPLICABLE: "–",
    Outcome.SKIPPED: "·",
    Outcome.UNKNOWN: "?",
    Outcome.ENVIRONMENT_ERROR: "!",
}
# Names short enough to fit under a stack.
AREAS = {
    "accelerators": "accelerators",
    "networking": "networking",
    "schedulingOrchestration": "scheduling",
    "observability": "observability",
    "security": "security",
    "operator": "operators",
}
WIDE, HIGH = 760, 330
DECK, KEEL, MARK = 176, 296, 232
"""Heights of the deck, the keel and the mark, in units of the drawing, from its top."""
_BOX, _GAP, _FIRST, _LAST = 30, 3, 78, 604
_HULL = (
    f"M28 {DECK - 22} C48 {DECK - 6} 70 {DECK} 104 {DECK} L700 {DECK} L722 {DECK - 14} L736 {DECK - 14} "
    f"L716 {KEEL - 34} Q706 {KEEL} 668 {KEEL} L132 {KEEL} Q84 {KEEL} 66 {KEEL - 46} Z"
)


def requirements_by_area(judged: Sequence[Judged]) -> list[tuple[str, list[Judged]]]:
    """Group requirements by area, MUSTs first in each area."""
    found: dict[str, list[Judged]] = {}
    for each in judged:
        category = REQUIREMENTS[each.requirement].category
        found.setdefault(AREAS.get(category, category), []).append(each)
    return [(name, sorted(items, key=lambda one: one.level)) for name, items in found.items()]


def is_met(judged: Judged) -> bool:
    """Whether a requirement was shown, or shown not to apply."""
    return judged.verdict.outcome in (Outcome.PASS, Outcome.NOT_APPLICABLE)


def hull(judged: Sequence[Judged]) -> str:
    """Draw the picture as SVG text; its colours are classes of the page's style sheet."""
    must = [each for each in judged if each.level == MUST]
    lacking = len([each for each in must if not is_met(each)])
    water = MARK + 16 if not lacking else max(MARK - 8 - 7 * lacking, DECK + 6)
    grouped = requirements_by_area(judged)
    step = (_LAST - _FIRST) / max(len(grouped), 1)
    parts = [
        f'<path class="hull" d="{_HULL}"/>',
        f'<path class="bridge" d="M618 {DECK} V{DECK - 74} H694 V{DECK} Z"/>',
        f'<path class="bridge" d="M634 {DECK - 74} V{DECK - 100} H678 V{DECK - 74}"/>',
        *(f'<rect class="window" x="{626 + 18 * n}" y="{DECK - 62}" width="10" height="9" rx="1"/>' for n in range(4)),
    ]
    for place, (name, items) in enumerate(grouped):
        middle = _FIRST + step * (place + 0.5)
        parts += _stack(items, middle)
        parts.append(f'<text class="area" x="{middle:.0f}" y="{DECK + 19}" text-anchor="middle">{escape(name)}</text>')
    parts += [_water(water), *_mark(lacking)]
    title = f"{len(must) - lacking} of {len(must)} MUSTs shown" + ("" if not lacking else f", {lacking} not")
    tallest = max((_rows(items) for _, items in grouped), default=0)
    top = DECK - max(tallest * (_BOX + _GAP), 102) - 8
    size = f'viewBox="0 {top} {WIDE} {HIGH - top}"'
    return f'<svg class="ship" {size} role="img" aria-label="{title}"><title>{title}</title>{"".join(parts)}</svg>'


def _columns(items: Sequence[Judged]) -> int:
    return 2 if len(items) > 3 else 1


def _rows(items: Sequence[Judged]) -> int:
    return -(-len(items) // _columns(items))


def _stack(items: Sequence[Judged], middle: float) -> list[str]:
    """Draw the containers of one area: MUSTs at the bottom, two columns for four or more."""
    columns = _columns(items)
    parts = []
    for number, each in enumerate(items):
        row, column = divmod(number, columns)
        x = middle + (column - columns / 2) * (_BOX * 1.35 + _GAP) + _GAP / 2
        y = DECK - (row + 1) * (_BOX + _GAP)
        outcome, level = each.verdict.outcome, each.level.lower()
        title = escape(f"{each.requirement}, {each.level}: {outcome.value}")
        wide = _BOX * 1.35
        parts.append(
            f'<a href="#{each.requirement}"><g class="box {outcome.value} {level}"><title>{title}</title>'
            f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{_BOX}" rx="3"/>'
            f'<text x="{x + wide / 2:.1f}" y="{y + 21}" text-anchor="middle">{SIGNS[outcome]}</text></g></a>'
        )
    return parts


def _water(level: float) -> str:
    crest = "".join(f" q19 {-6 if number % 2 else 6} 38 0" for number in range(20))
    return (
        f'<path class="water" d="M0 {level:.0f}{crest} V{HIGH} H0 Z"/><path class="crest" d="M0 {level:.0f}{crest}"/>'
    )


def _mark(lacking: int) -> list[str]:
    """Draw the ring and its line, as on a ship's side."""
    state = "under" if lacking else "clear"
    return [
        f'<g class="mark {state}"><circle cx="370" cy="{MARK}" r="22"/><path d="M330 {MARK} H410"/>',
        f'<text x="322" y="{MARK + 6}" text-anchor="end">P</text><text x="418" y="{MARK + 6}">L</text></g>',
    ]
