"""What the page of a sweep shows: its trials by pages, and the objective over each parameter."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from plimsoll.application.parameters import Parameter, as_text
from plimsoll.engine.sweep.trials import Sweep, Trial, sweep_of
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import read_journal
from plimsoll.report.contents import number
from plimsoll.report.sweeps import axis_of

PANELS = 12
"""Parameters that are drawn."""
POINTS = 2000
"""Trials that are drawn: the newest ones, and the best."""
_READ = 4
"""Sweeps that stay in memory."""


class SweepReader:
    """The sweeps that were looked at last, read again when their journals have grown. For any thread."""

    def __init__(self) -> None:
        self._read: OrderedDict[Path, tuple[int, Sweep | None]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, journal: Path) -> Sweep:
        """The sweep that a journal records, as of now. Raises PlimsollError for a run that is none."""
        with self._lock:
            size = journal.stat().st_size
            before = self._read.pop(journal, None)
            found = before[1] if before is not None and before[0] == size else sweep_of(read_journal(journal))
            self._read[journal] = (size, found)
            while len(self._read) > _READ:
                self._read.popitem(last=False)
        if found is None:
            raise PlimsollError(f"run {journal.parent.name} is no sweep", hint="the room Sweeps lists them")
        return found


class Panel(Struct, frozen=True, kw_only=True):
    """The objective over one parameter: `points` are trial, place from 0 to 1, value; `axis` has places and labels."""

    name: str
    axis: Sequence[tuple[float, str]]
    points: Sequence[tuple[int, float, float]]


def sweep_page(
    sweep: Sweep, run: str, *, live: bool, sort: str, descending: bool, offset: int, limit: int
) -> dict[str, object]:
    """One sweep with a page of its trials, best first where `sort` names no column."""
    planned, best = sweep.planned, sweep.best
    trials = sorted_trials(sweep, sort, descending=descending)
    drawn = _drawn(sweep)
    return {
        "run": run,
        "live": live,
        "model": planned.model,
        "objective": planned.objective,
        "words": sweep.objective.words,
        "searched": dict(planned.searched),
        "planned": planned.trials,
        "total": len(trials),
        "ended": sum(trial.state != "running" for trial in trials),
        "best": _trial(best) if best is not None else None,
        "trials": [_trial(trial) for trial in trials[offset : offset + limit]],
        "panels": [_panel(name, planned.searched[name], drawn) for name in list(planned.searched)[:PANELS]],
        "accepted": [trial.number for trial in drawn if trial.accepted],
    }


def sorted_trials(sweep: Sweep, sort: str, *, descending: bool) -> list[Trial]:
    """All trials by `number`, `value`, `seconds`, `state` or `parameter:NAME`; those without a value are last."""
    kind, _, name = sort.partition(":")
    chosen: Mapping[str, Callable[[Trial], object]] = {
        "number": lambda trial: trial.number,
        "value": lambda trial: trial.value,
        "seconds": lambda trial: None if trial.state == "running" else trial.seconds,
        "state": lambda trial: trial.state,
        "parameter": lambda trial: trial.parameters.get(name),
    }
    if kind not in chosen:
        return sweep.ranked()
    read = chosen[kind]
    having = [trial for trial in sweep.trials if read(trial) is not None]
    without = [trial for trial in sweep.trials if read(trial) is None]
    return sorted(having, key=lambda trial: _order(read(trial)), reverse=descending) + without


def _order(value: object) -> tuple[int, float, str]:
    """Numbers by size, then texts; what is no number comes before them."""
    if isinstance(value, bool | int | float):
        return (0, -math.inf if math.isnan(value) else float(value), "")
    return (1, 0.0, str(value))


def _drawn(sweep: Sweep) -> list[Trial]:
    """The trials that have a place in a plot."""
    having = [trial for trial in sweep.trials if trial.value is not None and math.isfinite(trial.value)]
    newest = having[-POINTS:]
    best = sweep.best
    return newest if best is None or best in newest else [best, *newest]


def _panel(name: str, searched: str, trials: Sequence[Trial]) -> Panel:
    having = [trial for trial in trials if name in trial.parameters]
    if not having:
        return Panel(name=name, axis=[], points=[])
    values: list[Parameter] = [trial.parameters[name] for trial in having]
    place, labels = axis_of(values, log="log:" in searched)
    points = [
        (trial.number, place(value), trial.value)
        for trial, value in zip(having, values, strict=True)
        if trial.value is not None
    ]
    return Panel(name=name, axis=labels, points=points)


def _trial(trial: Trial) -> dict[str, object]:
    return {
        "number": trial.number,
        "parameters": {name: as_text(value) for name, value in trial.parameters.items()},
        "train": trial.train,
        "state": trial.state,
        "accepted": trial.accepted,
        "value": trial.value,
        "shown": "–" if trial.value is None else number(trial.value),
        "seconds": None if trial.state == "running" else trial.seconds,
        "note": trial.note[:400],
    }
