"""A bundle as one HTML page that needs nothing else. Pure but for reading its template."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from plimsoll.capabilities.bundle_reader import Bundle
from plimsoll.capabilities.checking import Judged
from plimsoll.capabilities.requirements import MUST, REQUIREMENTS
from plimsoll.evidence.timeline import Line, namespaces, span, timeline
from plimsoll.evidence.verdict import Outcome
from plimsoll.files import replace_file
from plimsoll.report.hull import SIGNS, areas, hull, shown
from plimsoll.report.load_line import inventory_lines

if TYPE_CHECKING:
    from jinja2 import Template

LARGEST = 290_000
"""Bytes of the page: it is sent by mail. Observations are listed shorter, then fewer, until it fits."""
_LENGTHS = ((400, 700), (200, 300), (100, 160), (60, 0), (25, 0), (8, 0), (0, 0))


class Shown(Struct, frozen=True, kw_only=True):
    """One requirement as it is drawn: `lines` are its observations, of `count` in all."""

    judged: Judged
    area: str
    asked: str
    condition: str
    when: str
    seconds: float
    where: str
    lines: tuple[Line, ...]
    count: int


@functools.cache
def template() -> Template:
    """The page's template."""
    from jinja2 import Environment, FileSystemLoader

    templates = FileSystemLoader(Path(__file__).with_name("templates"))
    return Environment(loader=templates, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        "bundle.html"
    )


def bundle_page(bundle: Bundle) -> str:
    """The whole page, at most `LARGEST` bytes; every text from the cluster is escaped."""
    for rows, detail in _LENGTHS:
        text = _page(bundle, rows, detail)
        if len(text.encode()) <= LARGEST:
            break
    return text


def write_bundle_page(bundle: Bundle, path: Path) -> None:
    """Write the page as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, bundle_page(bundle).encode())


def _page(bundle: Bundle, rows: int, detail: int) -> str:
    grouped = areas(bundle.judged)
    must = [each for each in bundle.judged if each.level == MUST]
    return template().render(
        bundle=bundle,
        hull=hull(bundle.judged),
        areas=[(name, [_shown(bundle, name, each, rows, detail) for each in items]) for name, items in grouped],
        must=len(must),
        must_shown=len([each for each in must if shown(each)]),
        should=len(bundle.judged) - len(must),
        should_shown=len([each for each in bundle.judged if each.level != MUST and shown(each)]),
        open=[each for each in must if not shown(each)],
        counts=_counts(bundle),
        inventory=inventory_lines(bundle.facts) if bundle.facts else [],
        signs=SIGNS,
        outcomes=Outcome,
        spaced=lambda name: name.replace("_", " "),
    )


def _shown(bundle: Bundle, area: str, judged: Judged, rows: int, detail: int) -> Shown:
    record, requirement = bundle.records[judged.requirement], REQUIREMENTS[judged.requirement]
    times = span(record)
    return Shown(
        judged=judged,
        area=area,
        asked=requirement.summary,
        condition=requirement.condition,
        when=f"{times[0]:%Y-%m-%d %H:%M:%S} UTC" if times else "",
        seconds=(times[1] - times[0]).total_seconds() if times else 0.0,
        where=", ".join(namespaces(record)),
        lines=tuple(timeline(record, detail)[:rows]),
        count=len(record),
    )


def _counts(bundle: Bundle) -> list[tuple[Outcome, int]]:
    outcomes = [each.verdict.outcome for each in bundle.judged]
    return [(outcome, outcomes.count(outcome)) for outcome in Outcome if outcome in outcomes]
