"""One screen: reads the rows, carries out all checks, and says what each found."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError
from plimsoll.screens.figures import FIGURES, Finding, Screening
from plimsoll.screens.labels import contradictions, flips
from plimsoll.screens.material import MOST_COMPARED, Material
from plimsoll.screens.order import ScreenOrder
from plimsoll.screens.outcomes import Outcome, Unmeasured
from plimsoll.screens.personal import personal
from plimsoll.screens.repeated import nearly, repeated
from plimsoll.screens.rows import read_rows
from plimsoll.screens.shifts import profile, shifts
from plimsoll.screens.triggers import triggers
from plimsoll.telemetry.drift.reference import SideReference

Check = Callable[[Material], Iterator[Outcome]]
CHECKS: tuple[Check, ...] = (personal, repeated, nearly, shifts, contradictions, flips, triggers)
"""The cheap ones first. A new one is a module beside this one, a name in `figures.py`, and its place here."""
MOST_FINDINGS = 60


def screened(order: ScreenOrder) -> tuple[Screening, SideReference]:
    """What is found, and the profile of this version. Raises PlimsollError for tables that cannot be read."""
    table = read_rows(Path(order.table), order.rows)
    if not len(table):
        raise PlimsollError("the table has no rows, so that nothing was screened", where=order.table)
    held_out = read_rows(Path(order.held_out), order.rows) if order.held_out else None
    if held_out is not None and not len(held_out):
        raise PlimsollError("the table of rows that are held out has none", where=order.held_out)
    material = Material(order, table, held_out, _earlier(order.earlier))
    if not len(material.learnt):
        raise PlimsollError("the table has no rows to learn from, so that nothing was screened", where=order.table)
    figures: dict[str, float] = {}
    unmeasured: dict[str, str] = {}
    first: list[str] = []
    findings: list[Finding] = []
    for check in CHECKS:
        for outcome in check(material):
            if isinstance(outcome, Finding):
                findings.append(outcome)
            elif isinstance(outcome, Unmeasured):
                unmeasured[outcome.figure] = outcome.reason
                first += [outcome.figure] if outcome.first else []
            elif math.isfinite(outcome.value):
                figures[outcome.figure] = outcome.value
            else:
                unmeasured[outcome.figure] = "it came to no number"
    for name in FIGURES.keys() - figures.keys() - unmeasured.keys():
        unmeasured[name] = "nothing has measured it"
    return (
        Screening(
            rows=len(material.learnt),
            compared=len(material.sample),
            held_out=len(material.held_out) if material.held_out is not None else 0,
            figures={name: figures[name] for name in FIGURES if name in figures},
            unmeasured={name: unmeasured[name] for name in FIGURES if name in unmeasured},
            first=tuple(name for name in FIGURES if name in first),
            findings=tuple(findings[:MOST_FINDINGS]),
            notes=tuple(_notes(material, len(findings))),
        ),
        profile(material),
    )


def _notes(material: Material, findings: int) -> Iterator[str]:
    table = material.table
    if table.total > len(table):
        yield f"of {table.total} rows {len(table)} were read, evenly spread"
    if len(material.learnt) > len(material.sample) == MOST_COMPARED or len(material.sample) < len(material.learnt):
        yield f"{len(material.sample)} of {len(material.learnt)} rows were held against each other"
    if findings > MOST_FINDINGS:
        yield f"{findings - MOST_FINDINGS} more findings are left out"


def _earlier(path: str) -> SideReference | None:
    """The profile of the version before. Raises PlimsollError for one that cannot be read: it was altered."""
    if not path:
        return None
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=SideReference)
    except (*UNREADABLE, OSError) as error:
        text = f"the profile of the version before cannot be read: {error}"
        raise PlimsollError(text, where=path, hint="screen anew: plimsoll run --force screen/NAME") from error
