"""The trials of a sweep, computed from its journal alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.application.parameters import Parameter
from plimsoll.engine.sweep.objective import Objective
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.run_events import SweepPlanned, TrialBegun, TrialEnded, event_of


class Trial(Struct, frozen=True, kw_only=True):
    """One trial. `state` is `running`, `done`, `failed` or `stopped`, which is early; `value` is its objective.

    `refusals` name the bounds of the model that it misses. `train` is the step of its training.
    """

    number: int
    parameters: Mapping[str, Parameter]
    train: str = ""
    state: str = "running"
    value: float | None = None
    figures: Mapping[str, float] = {}
    refusals: tuple[str, ...] = ()
    reason: str = ""
    seconds: float = 0.0

    @property
    def accepted(self) -> bool:
        """Whether its model may be served."""
        return self.state == "done" and self.value is not None and not self.refusals

    @property
    def note(self) -> str:
        """How it ended, in one line."""
        if self.state == "done":
            return f"not accepted: {'; '.join(self.refusals)}" if self.refusals else "accepted"
        reason = self.reason.partition("\n")[0]
        return reason if reason.startswith(self.state) else ": ".join(filter(None, [self.state, reason]))


class Sweep(Struct, frozen=True, kw_only=True):
    """A sweep with its trials, by their numbers."""

    planned: SweepPlanned
    trials: tuple[Trial, ...] = ()

    @property
    def objective(self) -> Objective:
        """What it makes large or small."""
        return Objective(name=self.planned.objective, maximize=self.planned.maximize)

    @property
    def best(self) -> Trial | None:
        """The best of the accepted trials, the first of equal ones; None where none is accepted."""
        found: Trial | None = None
        for trial in self.trials:
            if trial.accepted and (found is None or self._better(trial, found)):
                found = trial
        return found

    def ranked(self) -> list[Trial]:
        """All trials: the accepted ones, the other finished ones, each best first, and the rest by number."""
        sign = -1.0 if self.objective.maximize else 1.0

        def order(trial: Trial) -> tuple[int, float, int]:
            if trial.state != "done" or trial.value is None:
                return 2, 0.0, trial.number
            return int(not trial.accepted), sign * trial.value, trial.number

        return sorted(self.trials, key=order)

    def _better(self, one: Trial, other: Trial) -> bool:
        assert one.value is not None and other.value is not None  # noqa: S101 - an accepted trial has one
        return self.objective.better(one.value, other.value)


def sweep_of(observations: Iterable[Observation]) -> Sweep | None:
    """The sweep that a journal records; None for a run that is none."""
    planned: SweepPlanned | None = None
    trials: dict[int, Trial] = {}
    for seen in observations:
        event = event_of(seen)
        match event:
            case SweepPlanned():
                planned = event
            case TrialBegun():
                trials[event.number] = Trial(number=event.number, parameters=event.parameters, train=event.train)
            case TrialEnded() if event.number in trials:
                trials[event.number] = replace(
                    trials[event.number],
                    state=event.state,
                    value=event.value,
                    figures=event.figures,
                    refusals=event.refusals,
                    reason=event.reason,
                    seconds=event.seconds,
                )
    return None if planned is None else Sweep(planned=planned, trials=tuple(trials[each] for each in sorted(trials)))
