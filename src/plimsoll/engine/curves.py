"""The curves of a run's trainings, over all of their attempts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from plimsoll.engine.history import StepHistory
from plimsoll.kinds.train import TrainGang
from plimsoll.state.curves import Series
from plimsoll.state.directory import StateDirectory


def curves_of(state: StateDirectory, steps: Iterable[StepHistory]) -> Mapping[str, Series]:
    """Points by model and by the name of the figure; models without a curve are left out."""
    trained = [step for step in steps if step.verb == TrainGang.verb]
    curves = {step.part: state.on(step.target).curve(step.key) for step in trained}
    return {name: series for name, series in curves.items() if series}
