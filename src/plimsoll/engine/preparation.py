"""From a file to a plan that can run: load, check, look around, plan, and make sure that all of it fits."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.application.checks import check
from plimsoll.application.loading import ApplicationFile, load
from plimsoll.application.workspace import gather
from plimsoll.engine.sites import Options, site_of
from plimsoll.errors import FileError, PlimsollError
from plimsoll.evidence.journal import NAME, read_journal
from plimsoll.planning.build import plan
from plimsoll.planning.capacity import Shortfall, shortfalls
from plimsoll.planning.changes import Decision, decisions
from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import Ingredient, Plan
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.base import Site


class Prepared(Struct, frozen=True, kw_only=True):
    """An application that may run."""

    file: ApplicationFile
    plan: Plan
    facts: Facts
    site: Site

    @property
    def state(self) -> StateDirectory:
        """What runs on the target keep on this machine."""
        return self.site.state


def prepare(path: Path, target: str = "local", options: Options | None = None) -> Prepared:
    """The plan of an application file for a target.

    Raises FileError for any mistake in the file, and for a step that asks for more than the target has; TargetError
    when the target cannot be reached.
    """
    file = load(path)
    check(file, target)
    options = options or Options()
    if options.base is None and file.application.spec.environment.image is not None:
        options = replace(options, base=file.application.spec.environment.image)
    site = site_of(target, file.directory, file.application.metadata.name, options)
    facts = site.facts()
    workspace = gather(file, site.state.digests)
    made = plan(file.application, workspace, facts)
    lacking = shortfalls(made, facts)
    if lacking:
        raise _too_large(file, lacking[0])
    return Prepared(file=file, plan=made, facts=facts, site=site)


def decide(prepared: Prepared) -> tuple[Decision, ...]:
    """What a run would do with each step, and why."""
    done = [step.name for step in prepared.plan.steps if prepared.site.finished(step)]
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
    where = file.where("spec", room, part, *inner, *lacking.setting)
    return FileError(lacking.message, where=where, hint=lacking.remedy)
