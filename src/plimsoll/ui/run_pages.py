"""What the page of a run shows: its steps, its figures, its curves and its logs; and two runs beside each other."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from plimsoll.engine.history import RunHistory, StepHistory, history
from plimsoll.engine.run_comparison import RunComparison, compare_runs, planned_run
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.timeline import shortened
from plimsoll.kinds.register import RegisterResult
from plimsoll.kinds.train import TrainGang
from plimsoll.report.contents import outcome
from plimsoll.state.directory import StateDirectory
from plimsoll.state.logs import log_files
from plimsoll.ui.curves import Curves

MOST_STEPS = 2000
MOST_WORKERS = 256
"""Workers of a step that are listed."""
MOST_LOGS = 2000
_LONGEST = 4000


def read_run(state: StateDirectory, run: str, live: str) -> RunHistory:
    """The run of an id; it is killed when it has not ended and is not the one that goes on, `live`.

    Raises PlimsollError when its journal has no plan.
    """
    try:
        found = history(read_journal(state.journal(run)))
    except ValueError as error:
        raise PlimsollError(f"run {run} was killed before it had a plan", where=str(state.runs / run)) from error
    return found if found.state != "running" or run == live else replace(found, state="killed")


def run_page(state: StateDirectory, run: RunHistory) -> dict[str, object]:
    """One run with its steps."""
    return {
        "run": run.run,
        "number": run.number,
        "application": run.application,
        "target": run.target,
        "file": run.file,
        "state": run.state,
        "reason": run.reason,
        "started": run.started.timestamp() if run.started else None,
        "ended": run.ended.timestamp() if run.ended else None,
        "parameters": run.parameters,
        "figures": len(figures_of(run)),
        "count": len(run.steps),
        "steps": [_step(step) for step in run.steps[:MOST_STEPS]],
        "trained": [step.name for step in run.steps if step.verb == TrainGang.verb],
        "logs": _logs(state.logs(run.run)),
    }


def figures_of(run: RunHistory) -> dict[str, float]:
    """Figures by part and name, as a comparison of runs names them."""
    return {
        f"{step.part} {name}": value
        for step in run.steps
        if step.state == "done" and not isinstance(step.result, RegisterResult)
        for name, value in step.metrics.items()
    }


def figures_page(run: RunHistory, *, text: str, offset: int, limit: int) -> dict[str, object]:
    """A page of the figures of a run whose names have a text in them."""
    found = figures_of(run)
    names = [name for name in found if matches(name, text)]
    return {"total": len(names), "figures": [[name, found[name]] for name in names[offset : offset + limit]]}


def curves_page(state: StateDirectory, run: RunHistory, curves: Curves, *, text: str, limit: int) -> dict[str, object]:
    """Charts of the trainings of a run, also of those that go on, whose titles have a text in them."""
    charts, total, unread, left_out = list[dict[str, object]](), 0, 0, 0
    for step in run.steps:
        if step.verb != TrainGang.verb:
            continue
        page = curves.of(*state.on(step.target).curve_files(step.key), text=text, limit=limit - len(charts))
        charts += [{"title": f"{step.part} {chart.title}", "series": chart.series} for chart in page.charts]
        total, unread, left_out = total + page.total, unread + page.unread, left_out + page.left_out
    return {"charts": charts, "total": total, "unread": unread, "left_out": left_out}


def log_path(state: StateDirectory, run: str, name: str) -> Path:
    """The log file of a run by its path within the run. Raises PlimsollError for one that is not there."""
    root = state.logs(run)
    for log in log_files(root):
        if log.path.relative_to(root).as_posix() == name:
            return log.path
    raise PlimsollError(f"run {run} has no log '{name}'", where=str(root), hint="the run's page lists its logs")


def comparison_page(
    state: StateDirectory,
    first: RunHistory,
    second: RunHistory,
    *,
    text: str,
    offset: int,
    limit: int,
    differing: bool,
) -> dict[str, object]:
    """Two runs beside each other, with a page of their figures: those that differ most come first."""
    plans = planned_run(state, first.run), planned_run(state, second.run)
    assert plans[0] is not None  # noqa: S101 - a run without a plan has no history
    assert plans[1] is not None  # noqa: S101 - as above
    compared = compare_runs((first, second), (plans[0], plans[1]))
    names = [name for name in compared.figures if matches(name, text)]
    if differing:
        names = [name for name in names if compared.figures[name][0] != compared.figures[name][1]]
    names.sort(key=lambda name: -_difference(compared, name))
    return {
        "runs": [{"run": run.run, "number": run.number, "state": run.state} for run in (first, second)],
        "parameters": compared.parameters,
        "seconds": compared.seconds,
        "changed": compared.changed,
        "total": len(names),
        "figures": [[name, *compared.figures[name]] for name in names[offset : offset + limit]],
    }


def matches(name: str, text: str) -> bool:
    """Whether a name has every word of a text in it."""
    lower = name.lower()
    return all(word in lower for word in text.lower().split())


def _difference(compared: RunComparison, name: str) -> float:
    """How far two values are apart in proportion to the larger; 2.0 where one is missing."""
    first, second = compared.figures[name]
    if first is None or second is None:
        return 2.0
    most = max(abs(first), abs(second))
    return abs(first - second) / most if most else 0.0


def _logs(root: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for log in log_files(root):
        if len(found) == MOST_LOGS:
            break
        try:
            size = log.path.stat().st_size
        except OSError:
            continue
        name = log.path.relative_to(root).as_posix()
        found.append({"name": name, "step": log.step, "attempt": log.attempt, "process": log.process, "size": size})
    return found


def _step(step: StepHistory) -> dict[str, object]:
    return {
        "name": step.name,
        "needs": step.needs,
        "state": "cached" if step.cached and step.state == "done" else step.state,
        "started": step.started.timestamp() if step.started else None,
        "ended": step.ended.timestamp() if step.ended else None,
        "reason": shortened(step.reason, _LONGEST),
        "awaits": step.awaits if step.state == "running" else "",
        "outcome": shortened(outcome(step), 400),
        "notes": [shortened(note, 400) for note in step.result.notes[:20]],
        "failures": [shortened(each, 400) for each in step.failures[-20:]],
        "attempts": step.attempts,
        "model": step.result.version_of(step.part) if isinstance(step.result, RegisterResult) else "",
        "figures": len(step.metrics),
        "workers": [
            {
                "rank": worker.rank,
                "attempt": worker.attempt,
                "started": worker.started.timestamp(),
                "ended": worker.ended.timestamp() if worker.ended else None,
                "code": worker.code,
                "signal": worker.signal,
                "cpu": worker.cpu_seconds,
                "memory": worker.peak_memory,
            }
            for worker in step.workers[:MOST_WORKERS]
        ],
        "count": len(step.workers),
    }
