"""Why a step would run: compares its ingredients with those of the last run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.planning.steps import AnyStep, Ingredient, Plan

_REASONS = {
    "command": "the command changed",
    "code": "code changed",
    "environment": "the environment changed",
    "setting": "setting changed",
    "parameter": "parameter changed",
}


class Decision(Struct, frozen=True, kw_only=True):
    """Whether a run would execute one step, and why."""

    step: str
    runs: bool
    why: str


def decisions(
    plan: Plan,
    before: Mapping[str, Sequence[Ingredient]],
    finished: Collection[str],
    forced: Collection[str] = (),
) -> tuple[Decision, ...]:
    """One decision for each step, in order.

    `before` has the ingredients of each step in the last run; `finished` has the names of the steps that have a result
    under the current key, `forced` those of the steps to be carried out again all the same.
    """
    made = []
    running: set[str] = set()
    for step in plan.steps:
        if step.name in finished and step.name in forced:
            # What needs it has its results by the same keys as before.
            made.append(Decision(step=step.name, runs=True, why="forced"))
            continue
        if step.name in finished:
            made.append(Decision(step=step.name, runs=False, why="cached"))
            continue
        made.append(Decision(step=step.name, runs=True, why=_why(step, before.get(step.name), running)))
        running.add(step.name)
    return tuple(made)


def because_of(made: Sequence[Decision], reasons: Mapping[str, str]) -> tuple[Decision, ...]:
    """The decisions, those to run with one more reason each, by the name of the step."""
    return tuple(
        replace(each, why=f"{each.why}; {reasons[each.step]}") if each.runs and each.step in reasons else each
        for each in made
    )


def _why(step: AnyStep, before: Sequence[Ingredient] | None, running: Collection[str]) -> str:
    if before is None:
        return "new"
    old = {(part.kind, part.name): part.digest for part in before}
    new = {(part.kind, part.name): part.digest for part in step.ingredients}
    changed = [where for where, digest in new.items() if old.get(where) != digest]
    removed = [where for where in old if where not in new]
    reasons = [_reason(step, kind, name, added=(kind, name) not in old) for kind, name in changed]
    reasons += [f"{name} is no longer used" for kind, name in removed if kind in {"code", "input", "parameter"}]
    if reasons:
        return "; ".join(dict.fromkeys(reasons))
    unfinished = [name for name in step.needs if name in running]
    words = "not finished last time, or no longer as it was"
    return f"{words}; after {unfinished[0]}" if unfinished else words


def _reason(step: AnyStep, kind: str, name: str, *, added: bool) -> str:
    if kind == "input":
        if added:
            return f"new input {name}"
        return f"data changed: {name}" if step.verb == "fetch" else f"input changed: {name}"
    if kind in {"code", "setting", "parameter"}:
        return f"new {kind}: {name}" if added and kind != "setting" else f"{_REASONS[kind]}: {name}"
    return _REASONS[kind]
