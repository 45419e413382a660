"""What earlier runs recorded of finished steps: all that is known of them while their target does not answer."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.run_events import RunPlanned, StepEnded, event_of
from plimsoll.state.directory import StateDirectory

RUNS = 10
"""The newest runs whose journals are read."""


def recorded_results(state: StateDirectory) -> Mapping[str, Mapping[str, object]]:
    """The values of the results of steps that ended well, by their keys; of a key that ended twice, the newest."""
    found: dict[str, Mapping[str, object]] = {}
    for run in state.run_ids()[-RUNS:]:
        # A damaged journal says nothing; the others do.
        with contextlib.suppress(PlimsollError):
            keys: Mapping[str, str] = {}
            for seen in read_journal(state.journal(run)):
                event = event_of(seen)
                if isinstance(event, RunPlanned):
                    keys = {step.name: step.key for step in event.steps}
                elif isinstance(event, StepEnded) and event.state == "done" and seen.subject in keys:
                    found[keys[seen.subject]] = event.result
    return found
