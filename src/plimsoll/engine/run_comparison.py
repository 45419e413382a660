"""Runs by number, id or the beginning of an id; and what differs between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TypeVar

from msgspec import Struct

from plimsoll.engine.history import RunHistory
from plimsoll.errors import PlimsollError
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.run_events import RunPlanned, event_of
from plimsoll.planning.steps import Ingredient
from plimsoll.state.directory import StateDirectory

_CHANGES = {"code": "code", "command": "command", "environment": "environment", "setting": "settings"}
"""The word for ingredients of a kind that differ. Inputs that are made by steps differ when one of these does."""

Value = TypeVar("Value")


class RunComparison(Struct, frozen=True, kw_only=True):
    """Two runs: `parameters` that differ, `figures` by step and name, `seconds` by step.

    `changed` has by kind what changed of the steps that both have.
    """

    first: str
    second: str
    parameters: Mapping[str, tuple[object, object]] = {}
    figures: Mapping[str, tuple[float | None, float | None]] = {}
    seconds: Mapping[str, tuple[float | None, float | None]] = {}
    changed: Mapping[str, tuple[str, ...]] = {}


def find_run(state: StateDirectory, word: str) -> str:
    """The id of a run, given as its number, its id, or the beginning of one. Raises PlimsollError."""
    numbers = state.run_numbers()
    known = list(numbers)
    if word in numbers:
        return word
    is_number = word.isascii() and word.isdigit() and len(word) < 8
    found = [run for run, number in numbers.items() if number == int(word)] if is_number else []
    found = found or [run for run in known if word and run.startswith(word)]
    if len(found) == 1:
        return found[0]
    text = f"several runs begin with '{word}'" if found else f"there is no run '{word}'"
    hint = f"the newest runs are: {', '.join((found or known)[-3:]) or 'none'}"
    raise PlimsollError(text, where=str(state.runs), hint=hint)


def planned_run(state: StateDirectory, run: str) -> RunPlanned | None:
    """What a run began with; None when it was killed before its plan was written."""
    for seen in read_journal(state.journal(run)):
        event = event_of(seen)
        if isinstance(event, RunPlanned):
            return event
    return None


def ingredients_by_step(planned: RunPlanned) -> dict[str, list[Ingredient]]:
    """What the key of each step was made of."""
    return {
        step.name: [Ingredient(kind=kind, name=name, digest=digest) for kind, name, digest in step.ingredients]
        for step in planned.steps
    }


def compare_runs(runs: tuple[RunHistory, RunHistory], plans: tuple[RunPlanned, RunPlanned]) -> RunComparison:
    """Compare two runs by what they began with and what came out. Pure."""
    first, second = runs
    return RunComparison(
        first=first.run,
        second=second.run,
        parameters={
            name: pair for name, pair in _paired(plans[0].parameters, plans[1].parameters).items() if pair[0] != pair[1]
        },
        figures=_paired(_figures(first), _figures(second)),
        seconds=_paired(_seconds(first), _seconds(second)),
        changed=_changed(ingredients_by_step(plans[0]), ingredients_by_step(plans[1])),
    )


def _paired(first: Mapping[str, Value], second: Mapping[str, Value]) -> dict[str, tuple[Value | None, Value | None]]:
    """A value in each run; None where one has none."""
    names = dict.fromkeys(chain(first, second))
    return {name: (first.get(name), second.get(name)) for name in names}


def _figures(run: RunHistory) -> dict[str, float]:
    """Figures by model or dataset and name; a registration repeats those of its training."""
    return {
        f"{step.part} {name}": value
        for step in run.steps
        if step.state == "done" and step.verb != "register"
        for name, value in step.metrics.items()
    }


def _seconds(run: RunHistory) -> dict[str, float]:
    """Seconds of the steps that the run itself has carried out."""
    return {step.name: round(step.seconds, 3) for step in run.steps if step.state == "done" and not step.cached}


def _changed(
    first: Mapping[str, list[Ingredient]], second: Mapping[str, list[Ingredient]]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {"data": {}, **{word: {} for word in _CHANGES.values()}}
    for step in (step for step in first if step in second):
        old = {(part.kind, part.name): part.digest for part in first[step]}
        new = {(part.kind, part.name): part.digest for part in second[step]}
        for kind, name in dict.fromkeys(chain(old, new)):
            if old.get((kind, name)) == new.get((kind, name)):
                continue
            if kind == "input" and step.startswith("fetch/"):
                found["data"][name] = None
            elif kind in _CHANGES:
                found[_CHANGES[kind]][step if kind == "command" else name] = None
    return {word: tuple(names) for word, names in found.items()}
