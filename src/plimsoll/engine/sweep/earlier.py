"""The trials of sweeps that were killed or stopped, or that have ended and are to have more trials."""

from __future__ import annotations

import contextlib
from itertools import islice

from plimsoll.engine.sweep.trials import Sweep, Trial, sweep_of
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.run_events import SweepPlanned, event_of
from plimsoll.state.directory import StateDirectory

_HEAD = 8
"""Observations from the beginning of a journal among which a sweep says what it is."""


def earlier_trials(state: StateDirectory, sweep: str, but: str) -> dict[int, Trial]:
    """The trials of all runs of a sweep, by its id, apart from one run; of one trial the newest end counts."""
    found: dict[int, Trial] = {}
    for run in state.run_ids():
        if run == but:
            continue
        with contextlib.suppress(PlimsollError):
            # A damaged journal says nothing; the results of its trials are still there.
            if _is_of(state, run, sweep) and (known := sweep_of(read_journal(state.journal(run)))):
                found |= {
                    trial.number: trial
                    for trial in known.trials
                    if trial.state != "running" or trial.number not in found
                }
    return found


def recorded_sweep(state: StateDirectory, run: str | None = None) -> Sweep:
    """The newest sweep with its trials, or the one of a run. Raises PlimsollError when there is none."""
    for each in [run] if run is not None else reversed(state.run_ids()):
        with contextlib.suppress(PlimsollError):
            # A damaged journal says nothing.
            if _planned(state, each) and (found := sweep_of(read_journal(state.journal(each)))):
                return found
    text = "there is no sweep yet" if run is None else f"run {run} is no sweep"
    raise PlimsollError(text, where=str(state.runs), hint="begin one with plimsoll sweep")


def _is_of(state: StateDirectory, run: str, sweep: str) -> bool:
    planned = _planned(state, run)
    return planned is not None and planned.id == sweep


def _planned(state: StateDirectory, run: str) -> SweepPlanned | None:
    """What a run says of its sweep; None for one that is no sweep."""
    events = map(event_of, islice(read_journal(state.journal(run)), _HEAD))
    return next((event for event in events if isinstance(event, SweepPlanned)), None)
