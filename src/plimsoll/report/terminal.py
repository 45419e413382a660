"""The report of a run for the terminal, as lines of a given width, with or without colour. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from plimsoll.engine.history import StepHistory
from plimsoll.evidence.run_events import PolicyFinding
from plimsoll.report.contents import (
    ModelReport,
    comparisons,
    duration,
    journeys,
    load_line,
    number,
    outcome,
    plain_metrics,
)
from plimsoll.report.run_report import RunReport

SIGNS = {"done": "✓", "failed": "✗", "skipped": "-", "stopped": "■", "running": "▸", "waiting": "·"}
COLOURS = {"done": "32", "failed": "31", "stopped": "33", "skipped": "33"}
MAX_STEPS = 60
"""Limit of listed steps: in a longer run, steps that succeeded are only counted."""


def terminal_lines(report: RunReport, width: int, colour: bool) -> list[str]:
    """The report; no line is wider than `width` columns."""
    return [_painted(text[:width], paint if colour else "") for text, paint in _lines(report, width)]


def _lines(report: RunReport, width: int) -> Iterator[tuple[str, str]]:
    run = report.history
    yield f"── {_clean(run.application)} on {_clean(run.where)}: {run.state} ".ljust(width, "─"), "1"
    yield load_line(run), ""
    listed = run.steps
    if len(listed) > MAX_STEPS:
        listed = tuple(step for step in run.steps if step.state != "done" or step.metrics)[:MAX_STEPS]
        yield f"{len(run.steps) - len(listed)} more steps are not listed", ""
    wide = min(max((len(_clean(step.name)) for step in listed), default=0), width // 2)
    for step in listed:
        yield _step_line(step, wide, run.names), COLOURS.get(step.state, "")
    for text in journeys(run):
        yield f"  {_clean(text)}", ""
    yield from _policy_lines(run.policies)
    for model in report.models:
        yield "", ""
        yield from _model_lines(model)


def _policy_lines(found: Sequence[PolicyFinding]) -> Iterator[tuple[str, str]]:
    """How many findings passed, and each of the others."""
    if found:
        passed = sum(each.verdict == "passed" for each in found)
        yield f"  policies: {passed} of {len(found)} findings passed", ""
    for each in [each for each in found if each.verdict != "passed"][:MAX_STEPS]:
        paint = COLOURS["failed"] if each.verdict in ("broken", "unknown") else COLOURS["skipped"]
        yield _clean(f"  {each.verdict}: {each.gate}: {each.about}: {each.reason}"), paint


def _step_line(step: StepHistory, wide: int, names: Mapping[str, str]) -> str:
    took = "unchanged" if step.cached else duration(step.seconds) if step.ended else step.state
    place = f"  on {names.get(step.target, step.target)}" if step.target else ""
    again = f"  ({step.attempts} attempts)" if step.attempts > 1 else ""
    line = (
        f"  {SIGNS.get(step.state, '?')} {_clean(step.name)[:wide]:<{wide}}  {took:>11}  "
        f"{_clean(outcome(step))}{again}{_clean(place)}"
    )
    return line.rstrip()


def _model_lines(model: ModelReport) -> Iterator[tuple[str, str]]:
    verdict = "; ".join(model.refusals) if model.refusals else "accepted"
    yield (
        f"{_clean(model.name)}@{model.version}  {model.digest[7:19]}  {_clean(verdict)}",
        "31" if model.refusals else "1",
    )
    compared = {comparison.metric for comparison in comparisons(model.metrics)}
    for comparison in comparisons(model.metrics):
        paint = {True: "32", False: "33", None: ""}[comparison.better]
        values = f"{number(comparison.value)} against {number(comparison.baseline_value)}"
        yield f"  {_clean(comparison.metric):<14} {values}: {_clean(comparison.sentence)}", paint
    rest = {name: value for name, value in plain_metrics(model.metrics).items() if name not in compared}
    if rest:
        yield "  " + ", ".join(f"{_clean(name)} {number(value)}" for name, value in rest.items()), ""


def _clean(text: str) -> str:
    """Replace characters that would move the cursor, change the writing direction or break the line."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _painted(text: str, paint: str) -> str:
    return f"\x1b[{paint}m{text}\x1b[0m" if paint else text
