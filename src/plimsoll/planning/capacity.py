"""Whether a plan can run with what the target has: asked before anything starts, so that a gang never half starts."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep, Plan


class Shortfall(Struct, frozen=True, kw_only=True):
    """What one step requests and the target does not have; `setting` is where in its part it says so."""

    step: str
    setting: tuple[str, ...]
    message: str
    remedy: str


def shortfalls(plan: Plan, facts: TargetFacts) -> tuple[Shortfall, ...]:
    """Every step that could not start even if nothing else ran."""
    return tuple(shortfall for step in plan.steps for shortfall in _of_step(step, facts))


def _of_step(step: AnyStep, facts: TargetFacts) -> list[Shortfall]:
    found = [*_missing_features(step, facts)]
    workers, resources = step.workers, step.resources
    who = f"{workers} workers of {step.name} request" if workers > 1 else f"{step.name} requests"
    together = " together" if workers > 1 else ""
    cores = workers * resources.cores
    if cores > facts.cpu:
        message = f"{who} {cores:g} processor cores{together}; {facts.target} has {facts.cpu:g}"
        remedy = "request fewer workers or less cpu (a share such as 0.5 is fine)"
        found.append(Shortfall(step=step.name, setting=("resources", "cpu"), message=message, remedy=remedy))
    memory = workers * (resources.memory or 0)
    if memory > facts.memory:
        message = f"{who} {_gibibytes(memory)} of memory{together}; {facts.target} has {_gibibytes(facts.memory)}"
        remedy = "request less memory"
        found.append(Shortfall(step=step.name, setting=("resources", "memory"), message=message, remedy=remedy))
    accelerators = workers * resources.accelerators
    if accelerators > facts.accelerators:
        message = f"{who} {accelerators} accelerators{together}; {facts.target} has {facts.accelerators}"
        remedy = "set accelerators to 0 to train on processors, or use a target that has them"
        found.append(Shortfall(step=step.name, setting=("resources", "accelerators"), message=message, remedy=remedy))
    return found or _on_no_machine(step, facts)


def _missing_features(step: AnyStep, facts: TargetFacts) -> Iterator[Shortfall]:
    """What the step asks of the target and the target does not offer at all."""
    if facts.verbs is not None and step.verb not in facts.verbs:
        message = f"{facts.target} does not carry out '{step.verb}' steps, such as {step.name}"
        yield Shortfall(step=step.name, setting=(), message=message, remedy="run it on another target")
    for wanted in step.work.needed_features():
        if wanted.feature in facts.lacks:
            reason = facts.lacks[wanted.feature]
            message = f"{step.name} {wanted.asks}, and {facts.target} cannot do that: {reason}"
            yield Shortfall(step=step.name, setting=wanted.setting, message=message, remedy=wanted.remedy)


def _on_no_machine(step: AnyStep, facts: TargetFacts) -> list[Shortfall]:
    """A worker that all nodes together could carry, and none of them alone."""
    if not facts.machines:
        return []
    share = step.resources
    asked = {"cpu": share.cores, "memory": float(share.memory or 0), "accelerators": float(share.accelerators)}
    if any(all(getattr(each, name) >= wanted for name, wanted in asked.items()) for each in facts.machines):
        return []
    name = next(
        (name for name, wanted in asked.items() if all(getattr(each, name) < wanted for each in facts.machines)), "cpu"
    )
    most = max(float(getattr(each, name)) for each in facts.machines)
    words = {"cpu": "{:g} cores", "memory": "{:g} bytes of memory", "accelerators": "{:g} accelerators"}[name]
    message = (
        f"a worker of {step.name} requests {words.format(asked[name])}; "
        f"the largest of {len(facts.machines)} nodes of {facts.target} has {words.format(most)}"
    )
    remedy = "request less for each worker and more workers, or add larger nodes"
    return [Shortfall(step=step.name, setting=("resources", name), message=message, remedy=remedy)]


def _gibibytes(amount: int) -> str:
    return f"{amount / 2**30:.1f} GiB"
