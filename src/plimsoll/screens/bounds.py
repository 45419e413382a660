"""Bounds on the figures of a screen. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from plimsoll.application.scalars import bound_holds
from plimsoll.screens.figures import Finding, Screening

MOST_PLACES = 3


def missed(found: Screening, accept: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each bound that does not hold, with the first places.

    What was not measured does not hold, but for a figure that compares with a version before where there is none.
    """
    told = []
    for name, bound in accept.items():
        if name in found.figures:
            value = found.figures[name]
            if not bound_holds(bound, value):
                told.append(f"{name} is {value:.6g}, expected {bound}{_places(found, name)}")
        elif name not in found.first:
            told.append(f"{name} was not measured ({found.unmeasured.get(name, 'nobody says why')}), expected {bound}")
    return tuple(told)


def _places(found: Screening, figure: str) -> str:
    of = [each for each in found.findings if each.figure == figure]
    if not of:
        return ""
    more = f" and {len(of) - MOST_PLACES} more" if len(of) > MOST_PLACES else ""
    return f": {', '.join(map(_place, of[:MOST_PLACES]))}{more}"


def _place(finding: Finding) -> str:
    rows = ", ".join(map(str, finding.rows[:5])) + (", …" if finding.count > 5 else "")
    where = f"column {finding.column} has " if finding.column and finding.figure == "personal" else ""
    where = where or (f"column {finding.column}: " if finding.column else "")
    return f"{where}{finding.what}" + (f" (rows {rows})" if rows else "")
