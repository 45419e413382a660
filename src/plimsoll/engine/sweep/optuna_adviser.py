"""Optuna as the adviser of a sweep. It keeps nothing: the journal of the sweep has its trials."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import optuna

from plimsoll.engine.sweep.search import Values
from plimsoll.engine.sweep.space import Dimension


class OptunaAdviser:
    """Optuna's default sampler (TPE). Running trials count as bad ones, so that parallel trials spread out."""

    def __init__(self, dimensions: Iterable[Dimension], seed: int, *, maximize: bool) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._dimensions = {each.name: each for each in dimensions}
        self._distributions = {name: _distribution(each) for name, each in self._dimensions.items()}
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self._study = optuna.create_study(direction="maximize" if maximize else "minimize", sampler=sampler)
        self._trials: dict[int, optuna.Trial] = {}

    def ask(self, number: int) -> Values:
        """The values that are the most promising by what was told."""
        trial = self._study.ask(self._distributions)
        self._trials[number] = trial
        return {name: self._dimensions[name].tidy(value) for name, value in trial.params.items()}

    def recall(self, number: int, values: Values) -> None:
        """Have Optuna ask for the values that it asked for before."""
        self._study.enqueue_trial({name: values[name] for name in self._distributions})
        self._trials[number] = self._study.ask(self._distributions)

    def tell(self, number: int, state: str, value: float | None) -> None:
        """Tell how a trial has ended; one that was stopped early is pruned."""
        trial = self._trials.pop(number)
        if state == "done" and value is not None:
            self._study.tell(trial, value)
        else:
            states = optuna.trial.TrialState
            self._study.tell(trial, state=states.PRUNED if state == "stopped" else states.FAIL)


def _distribution(each: Dimension) -> Any:  # Any: a class of Optuna, which has no types here
    if each.choices:
        return optuna.distributions.CategoricalDistribution(each.choices)
    if each.whole:
        return optuna.distributions.IntDistribution(int(each.low), int(each.high), log=each.log)
    return optuna.distributions.FloatDistribution(each.low, each.high, log=each.log)
