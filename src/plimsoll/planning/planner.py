"""Makes a plan from an application and facts: each kind adds the steps of its parts, in the order of their needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from plimsoll.application.application import ApplicationSpec
from plimsoll.application.isolation import Isolation, Level, settled
from plimsoll.application.parts import Part, Resources
from plimsoll.application.scalars import duration_in_seconds, memory_in_bytes
from plimsoll.application.workspace import Workspace
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.keys import step_key
from plimsoll.planning.kind import Kind
from plimsoll.planning.steps import AnyStep, Ingredient, Plan, Step, Work, WorkerResources

AnyWork = TypeVar("AnyWork", bound=Work)
P = TypeVar("P", bound=Part)
AnyKind = Kind[Any]
"""A kind of any type of part (`Any`: a table of kinds holds kinds of different parts)."""


def plan(kinds: Iterable[AnyKind], application: ApplicationSpec, workspace: Workspace, facts: TargetFacts) -> Plan:
    """Plan a checked application: each step comes after the steps that it needs.

    Equal arguments give equal plans. Raises KeyError for an application that has not been checked.
    """
    planner = Planner(application, workspace, facts)
    for kind in kinds:
        for name in kind.of(application):
            planner.step_of(kind, name)
    steps = tuple(planner.steps.values())
    return Plan(application=application.name, target=facts.target, steps=steps, notes=workspace.notes)


class Planner:
    """Collects steps in order; adds the steps of a part when they are first needed."""

    def __init__(self, application: ApplicationSpec, workspace: Workspace, facts: TargetFacts) -> None:
        self.application = application
        self.workspace = workspace
        self.facts = facts
        self.steps: dict[str, AnyStep] = {}
        self._last: dict[tuple[str, str], AnyStep] = {}

    def step_of(self, kind: Kind[P], name: str) -> AnyStep:
        """The last step of a part, which other parts depend on."""
        if (kind.key, name) not in self._last:
            self._last[kind.key, name] = kind.plan(name, kind.of(self.application)[name], self)
        return self._last[kind.key, name]

    def add(
        self,
        part: str,
        work: AnyWork,
        made_of: Iterable[Ingredient],
        *,
        needs: Iterable[str] = (),
        resources: Resources | None = None,
        isolation: Level | Isolation | None = None,
        retries: int = 0,
    ) -> Step[AnyWork]:
        """Add a step whose key is computed from its ingredients."""
        ingredients = tuple(made_of)
        step = Step(
            part=part,
            key=step_key(f"{work.verb}/{part}", ingredients),
            work=work,
            needs=tuple(dict.fromkeys(needs)),
            resources=worker_resources(resources) if resources else WorkerResources(),
            isolation=settled(isolation),
            retries=retries,
            ingredients=ingredients,
        )
        self.steps[step.name] = step
        return step


def worker_resources(resources: Resources) -> WorkerResources:
    """Convert the resources of one worker from the file to cores and bytes."""
    memory = memory_in_bytes(resources.memory) if resources.memory is not None else None
    return WorkerResources(
        cpu=resources.cpu,
        memory=memory,
        accelerators=resources.accelerators,
        accelerator=resources.accelerator or "",
        slice=resources.slice or "",
        spot=resources.spot or "",
    )


def seconds(duration: str | None) -> float | None:
    """Convert a duration of the file to seconds; None stays None."""
    return duration_in_seconds(duration) if duration is not None else None


def keys_by_name(made: Plan) -> Mapping[str, str]:
    """The content key of each step, by the name of the step."""
    return {step.name: step.key for step in made.steps}
