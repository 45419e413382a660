"""Steps of a plan by their names: those of a run with all that they need, and those to be carried out again. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from plimsoll.application.shape import suggest_name
from plimsoll.errors import FileError
from plimsoll.planning.steps import Plan


def select_steps(plan: Plan, words: Sequence[str]) -> Plan:
    """The plan with the named steps and what they need; the whole plan without words.

    A word is a step such as `train/triage`, or the name of a part for all of its steps. Raises FileError for a
    word that names none.
    """
    if not words:
        return plan
    wanted = named_steps(plan, words, "STEP")
    # Each step comes after the steps that it needs, so that one pass from the end finds all of them.
    for step in reversed(plan.steps):
        if step.name in wanted:
            wanted.update(step.needs)
    steps = tuple(step for step in plan.steps if step.name in wanted)
    notes = {name: note for name, note in plan.notes.items() if name in wanted}
    return replace(plan, steps=steps, notes=notes)


def named_steps(plan: Plan, words: Sequence[str], where: str) -> set[str]:
    """The names of the steps that words stand for, as `select_steps` reads them. Raises FileError at `where`."""
    wanted: set[str] = set()
    for word in words:
        named = [step.name for step in plan.steps if word in (step.name, step.part)]
        if not named:
            names = [step.name for step in plan.steps]
            raise FileError(f"there is no step '{word}'", where=where, hint=suggest_name(word, names))
        wanted.update(named)
    return wanted
