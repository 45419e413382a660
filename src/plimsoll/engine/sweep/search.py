"""Which values the next trial has: the combinations of a grid in turn, random draws, and what Optuna asks for."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Protocol

from plimsoll.application.parameters import Parameter
from plimsoll.engine.sweep.space import OPTUNA, RANDOM, Space
from plimsoll.errors import MissingExtra

TRIALS = 20
"""Trials of a search without an end, unless `--trials` says how many."""
REDRAWS = 200
"""Draws that were tried already before a search counts as exhausted."""

Values = Mapping[str, Parameter]


class Adviser(Protocol):
    """A search that learns from the trials that have ended."""

    def ask(self, number: int) -> Values:
        """The values of its dimensions for a trial."""
        ...

    def recall(self, number: int, values: Values) -> None:
        """Take note of a trial that an earlier sweep has begun, in place of `ask`."""
        ...

    def tell(self, number: int, state: str, value: float | None) -> None:
        """How a trial has ended."""
        ...


class Search:
    """Values for one trial after the other, counted from 1. The same seed draws the same values."""

    def __init__(self, space: Space, trials: int | None, seed: int, adviser: Adviser | None) -> None:
        self._space = space
        self._grid = space.grid()
        self._seed = seed
        self._adviser = adviser
        self._tried: set[tuple[tuple[str, Parameter], ...]] = set()
        endless = bool(space.by(RANDOM) or space.by(OPTUNA))
        most = max(TRIALS, len(self._grid)) if endless else len(self._grid)
        self.trials = (trials or most) if endless else min(trials or most, most)

    def values(self, number: int) -> Values | None:
        """The values of a trial; None when there are no more trials, or no values that were not tried."""
        if number > self.trials:
            return None
        fixed = self._grid[(number - 1) % len(self._grid)]
        for draw in range(REDRAWS):
            values = {**fixed, **self._drawn(number, draw)}
            if self._adviser is not None:
                # It is asked once: whoever learns by repeating a trial may.
                values |= self._adviser.ask(number)
            elif _point(values) in self._tried:
                continue
            self._tried.add(_point(values))
            return values
        return None

    def recall(self, number: int, values: Values) -> None:
        """Take note of a trial that an earlier sweep has begun, in place of `values`."""
        self._tried.add(_point(values))
        if self._adviser is not None:
            self._adviser.recall(number, values)

    def tell(self, number: int, state: str, value: float | None) -> None:
        """How a trial has ended."""
        if self._adviser is not None:
            self._adviser.tell(number, state, value)

    def _drawn(self, number: int, draw: int) -> dict[str, Parameter]:
        """Draws that depend on the seed and the trial alone: more trials leave the first ones as they are."""
        return {
            each.name: each.drawn(Random(f"{self._seed}/{number}/{draw}/{each.name}"))  # noqa: S311 - no secrets
            for each in self._space.by(RANDOM)
        }


def search_of(space: Space, *, trials: int | None, seed: int, maximize: bool) -> Search:
    """The search of a space. Raises MissingExtra when it needs Optuna, which is not installed."""
    asked = space.by(OPTUNA)
    if not asked:
        return Search(space, trials, seed, None)
    try:
        from plimsoll.engine.sweep.optuna_adviser import OptunaAdviser
    except ImportError:
        raise MissingExtra("optuna", "plimsoll sweep --optuna") from None
    return Search(space, trials, seed, OptunaAdviser(asked, seed, maximize=maximize))


def _point(values: Values) -> tuple[tuple[str, Parameter], ...]:
    return tuple(sorted(values.items()))
