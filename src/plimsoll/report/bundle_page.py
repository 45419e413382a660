"""An evidence bundle as a self-contained HTML page. Pure, except that it reads its template."""

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
from plimsoll.report.hull import SIGNS, hull, is_met, requirements_by_area
from plimsoll.report.load_line import inventory_lines

if TYPE_CHECKING:
    from jinja2 import Template

MAX_BYTES = 290_000
"""Size limit of the page, so that it can be mailed. Observations are shortened, then left out, until it fits."""
_DETAIL_LEVELS = ((400, 700), (200, 300), (100, 160), (60, 0), (25, 0), (8, 0), (0, 0))


class RequirementSection(Struct, frozen=True, kw_only=True):
    """The section of one requirement; `lines` are the listed observations, of `count` in all."""

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
    """Load the template of the page."""
    from jinja2 import Environment, FileSystemLoader

    templates = FileSystemLoader(Path(__file__).with_name("templates"))
    return Environment(loader=templates, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        "bundle.html"
    )


def bundle_page(bundle: Bundle) -> str:
    """The page, at most `MAX_BYTES` long; every text from the cluster is escaped."""
    for rows, detail in _DETAIL_LEVELS:
        text = _page(bundle, rows, detail)
        if len(text.encode()) <= MAX_BYTES:
            break
    return text


def write_bundle_page(bundle: Bundle, path: Path) -> None:
    """Write the page atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, bundle_page(bundle).encode())


def _page(bundle: Bundle, rows: int, detail: int) -> str:
    grouped = requirements_by_area(bundle.judged)
    must = [each for each in bundle.judged if each.level == MUST]
    return template().render(
        bundle=bundle,
        hull=hull(bundle.judged),
        areas=[(name, [_section(bundle, name, each, rows, detail) for each in items]) for name, items in grouped],
        must=len(must),
        must_shown=len([each for each in must if is_met(each)]),
        should=len(bundle.judged) - len(must),
        should_shown=len([each for each in bundle.judged if each.level != MUST and is_met(each)]),
        open=[each for each in must if not is_met(each)],
        counts=_counts(bundle),
        inventory=inventory_lines(bundle.facts) if bundle.facts else [],
        signs=SIGNS,
        outcomes=Outcome,
        spaced=lambda name: name.replace("_", " "),
    )


def _section(bundle: Bundle, area: str, judged: Judged, rows: int, detail: int) -> RequirementSection:
    record, requirement = bundle.records[judged.requirement], REQUIREMENTS[judged.requirement]
    times = span(record)
    return RequirementSection(
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
