"""From a file to a plan that can run: load, check, look around, plan, and make sure that all of it fits."""

from __future__ import annotations

import sys
from pathlib import Path

from msgspec import Struct

from plimsoll.application.checks import check
from plimsoll.application.loading import ApplicationFile, load
from plimsoll.application.workspace import gather
from plimsoll.engine.journal import NAME, read_journal
from plimsoll.errors import FileError, PlimsollError, TargetError
from plimsoll.planning.build import plan
from plimsoll.planning.capacity import Shortfall, shortfalls
from plimsoll.planning.changes import Decision, decisions
from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import Ingredient, Plan
from plimsoll.targets.local.state import StateDirectory
from plimsoll.targets.local.target import finished, local_facts


class Prepared(Struct, frozen=True, kw_only=True):
    """An application that may run."""

    file: ApplicationFile
    plan: Plan
    facts: Facts
    state: StateDirectory


def prepare(path: Path, target: str = "local") -> Prepared:
    """The plan of an application file for this machine.

    Raises FileError for any mistake in the file, and for a step that asks for more than the target has.
    """
    if target != "local":
        raise FileError(
            f"this version cannot run on the target '{target}'",
            where="--target",
            hint="leave --target out, or say --target local",
        )
    if not sys.platform.startswith("linux"):
        raise TargetError(f"the local target needs Linux, this is {sys.platform}", hint="run in a Linux machine or VM")
    file = load(path)
    check(file, target)
    state = StateDirectory(file.directory)
    facts = local_facts()
    workspace = gather(file, state.digests)
    made = plan(file.application, workspace, facts)
    lacking = shortfalls(made, facts)
    if lacking:
        raise _too_large(file, lacking[0])
    return Prepared(file=file, plan=made, facts=facts, state=state)


def decide(prepared: Prepared) -> tuple[Decision, ...]:
    """What a run would do with each step, and why."""
    done = [step.name for step in prepared.plan.steps if finished(prepared.state, step) is not None]
    return decisions(prepared.plan, last_ingredients(prepared.state), done)


def last_ingredients(state: StateDirectory) -> dict[str, list[Ingredient]]:
    """What each step was made of in the last run; empty when there was none."""
    for run in reversed(runs(state)):
        try:
            planned = next(seen for seen in read_journal(state.runs / run / NAME) if seen.event == "run-planned")
        except (PlimsollError, StopIteration):
            continue
        return {
            step["name"]: [
                Ingredient(kind=kind, name=name, digest=digest) for kind, name, digest in step["ingredients"]
            ]
            for step in planned.fact["steps"]
        }
    return {}


def runs(state: StateDirectory) -> list[str]:
    """The ids of all runs, oldest first."""
    if not state.runs.is_dir():
        return []
    return sorted(path.name for path in state.runs.iterdir() if (path / NAME).exists())


_KEYS = {"train": ("models", "train"), "run": ("datasets",), "serve": ("services",), "score": ("batches",)}


def _too_large(file: ApplicationFile, lacking: Shortfall) -> FileError:
    verb, _, part = lacking.step.partition("/")
    room, *inner = _KEYS.get(verb, ("datasets",))
    where = file.where("spec", room, part, *inner, "resources", lacking.resource)
    return FileError(lacking.message, where=where, hint=lacking.remedy)
