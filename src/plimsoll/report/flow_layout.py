"""Where the steps of a flow stand, and where the lines between them run, so that no line crosses a box. Pure.

Steps stand in columns by their depth. A line to a later column passes those between in places of its own, between the
boxes (Sugiyama's layers). For a narrow page, steps stand below each other and lines run beside them, each in a lane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from plimsoll.engine.history import RunHistory
from plimsoll.report.contents import layers

GAP_Y = 14
PASS_HIGH = 8
"""Height of the place that a line has between the boxes of a column."""
SWEEPS = 6
"""Orderings of all columns by their neighbours. More change little."""


class Place(Struct, frozen=True):
    """A box of a step, or the place where the lines from a step pass a column."""

    step: str
    passes: bool = False


class Layout(Struct, frozen=True, kw_only=True):
    """Tops of all places by column, and the height of the whole. `links` lead from a column to the next."""

    columns: Sequence[Mapping[Place, float]]
    links: Sequence[tuple[int, Place, Place]]
    height: float


def flow_layout(run: RunHistory, high: Mapping[str, float]) -> Layout:
    """Lay out the steps, each as high as `high` says."""
    grouped = layers(run)
    depth = {step.name: place for place, column in enumerate(grouped) for step in column}
    furthest: dict[str, int] = {}
    for step in run.steps:
        for name in step.needs:
            if name in depth:
                furthest[name] = max(furthest.get(name, 0), depth[step.name])
    columns = [[Place(step.name) for step in column] for column in grouped]
    for name, last in furthest.items():
        for between in range(depth[name] + 1, last):
            columns[between].append(Place(name, passes=True))
    links = _links(run, depth, columns)
    _order(columns, links)
    heights = [sum(_high(place, high) + GAP_Y for place in column) - GAP_Y for column in columns]
    tall = max(heights, default=0.0)
    placed = []
    for column, height in zip(columns, heights, strict=True):
        y, tops = (tall - height) / 2, {}
        for place in column:
            tops[place] = y
            y += _high(place, high) + GAP_Y
        placed.append(tops)
    return Layout(columns=placed, links=links, height=max(tall, 0.0))


def _high(place: Place, high: Mapping[str, float]) -> float:
    return PASS_HIGH if place.passes else high[place.step]


def _links(
    run: RunHistory, depth: Mapping[str, int], columns: Sequence[Sequence[Place]]
) -> list[tuple[int, Place, Place]]:
    """All links, with the column that each begins in."""
    links = []
    for begin, column in enumerate(columns[1:]):
        for place in column:
            if place.passes:
                links.append((begin, _carrier(place.step, begin, depth), place))
    for step in run.steps:
        for name in dict.fromkeys(step.needs):
            if name in depth:
                begin = depth[step.name] - 1
                links.append((begin, _carrier(name, begin, depth), Place(step.name)))
    return links


def _carrier(step: str, column: int, depth: Mapping[str, int]) -> Place:
    return Place(step, passes=depth[step] != column)


def _order(columns: list[list[Place]], links: Sequence[tuple[int, Place, Place]]) -> None:
    """Order the places of each column by the middle of their neighbours, to and fro, so that few lines cross."""
    before: dict[tuple[int, Place], list[Place]] = {}
    after: dict[tuple[int, Place], list[Place]] = {}
    for begin, start, end in links:
        after.setdefault((begin, start), []).append(end)
        before.setdefault((begin + 1, end), []).append(start)
    for sweep in range(SWEEPS):
        forwards = sweep % 2 == 0
        numbers = range(1, len(columns)) if forwards else range(len(columns) - 2, -1, -1)
        for number in numbers:
            neighbours = columns[number - 1 if forwards else number + 1]
            rank = {place: row / max(len(neighbours) - 1, 1) for row, place in enumerate(neighbours)}
            known = before if forwards else after
            own = {place: row / max(len(columns[number]) - 1, 1) for row, place in enumerate(columns[number])}
            columns[number].sort(key=lambda place: _middle(known.get((number, place), ()), rank, own[place]))


def _middle(neighbours: Sequence[Place], rank: Mapping[Place, float], own: float) -> float:
    return sum(rank[place] for place in neighbours) / len(neighbours) if neighbours else own


class Lane(Struct, frozen=True, kw_only=True):
    """The line from a step to those that need it: `lane` 0 is next to the boxes."""

    step: str
    lane: int
    targets: tuple[str, ...]


def lanes(run: RunHistory) -> list[Lane]:
    """The lanes of steps that stand below each other: no two lines share a lane at the same height."""
    row = {step.name: place for place, step in enumerate(run.steps)}
    targets: dict[str, list[str]] = {}
    for step in run.steps:
        for name in dict.fromkeys(step.needs):
            if name in row:
                targets.setdefault(name, []).append(step.name)
    free_after: list[int] = []
    found = []
    for name in sorted(targets, key=row.__getitem__):
        first = row[name]
        last = max(row[target] for target in targets[name])
        lane = next((place for place, busy in enumerate(free_after) if busy < first), len(free_after))
        free_after[lane : lane + 1] = [last]
        found.append(Lane(step=name, lane=lane, targets=tuple(targets[name])))
    return found
