"""Whether a plan can run with what the target has: asked before anything starts, so that a gang never half starts."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import Plan, Serve, Step


class Shortfall(Struct, frozen=True, kw_only=True):
    """What one step asks for and the target does not have; `setting` is where in its part of the file it asks."""

    step: str
    setting: tuple[str, ...]
    message: str
    remedy: str


def shortfalls(plan: Plan, facts: Facts) -> tuple[Shortfall, ...]:
    """Every step that could not start even if nothing else ran."""
    return tuple(shortfall for step in plan.steps for shortfall in _of_step(step, facts))


def _of_step(step: Step, facts: Facts) -> list[Shortfall]:
    found = []
    work = step.work
    if isinstance(work, Serve) and work.scale is not None and work.scale.min == 0 and facts.never_zero:
        message = f"{step.name} wants no server while nobody asks; {facts.target} cannot do that: {facts.never_zero}"
        found.append(Shortfall(step=step.name, setting=("scale", "min"), message=message, remedy="or say min: 1"))
    workers, share = step.workers, step.share
    cores = workers * share.cores
    who = f"{workers} workers of {step.name} want" if workers > 1 else f"{step.name} wants"
    if cores > facts.cpu:
        message = f"{who} {cores:g} processor cores together; {facts.target} has {facts.cpu:g}"
        remedy = "ask for fewer workers or less cpu (a share such as 0.5 is fine)"
        found.append(Shortfall(step=step.name, setting=("resources", "cpu"), message=message, remedy=remedy))
    memory = workers * (share.memory or 0)
    if memory > facts.memory:
        message = f"{who} {_gibibytes(memory)} of memory together; {facts.target} has {_gibibytes(facts.memory)}"
        found.append(
            Shortfall(step=step.name, setting=("resources", "memory"), message=message, remedy="ask for less memory")
        )
    accelerators = workers * share.accelerators
    if accelerators > facts.accelerators:
        message = f"{who} {accelerators} accelerators together; {facts.target} has {facts.accelerators}"
        remedy = "set accelerators to 0 to train on processors, or use a target that has them"
        found.append(Shortfall(step=step.name, setting=("resources", "accelerators"), message=message, remedy=remedy))
    return found or _on_no_machine(step, facts)


def _on_no_machine(step: Step, facts: Facts) -> list[Shortfall]:
    """A worker that all nodes together could carry, and none of them alone."""
    if not facts.machines:
        return []
    share = step.share
    asked = {"cpu": share.cores, "memory": float(share.memory or 0), "accelerators": float(share.accelerators)}
    if any(all(getattr(each, name) >= wanted for name, wanted in asked.items()) for each in facts.machines):
        return []
    name = next(
        (name for name, wanted in asked.items() if all(getattr(each, name) < wanted for each in facts.machines)), "cpu"
    )
    most = max(float(getattr(each, name)) for each in facts.machines)
    words = {"cpu": "{:g} cores", "memory": "{:g} bytes of memory", "accelerators": "{:g} accelerators"}[name]
    message = (
        f"a worker of {step.name} wants {words.format(asked[name])}; "
        f"the largest of {len(facts.machines)} nodes of {facts.target} has {words.format(most)}"
    )
    remedy = "ask for less in each worker and more workers, or add larger nodes"
    return [Shortfall(step=step.name, setting=("resources", name), message=message, remedy=remedy)]


def _gibibytes(amount: int) -> str:
    return f"{amount / 2**30:.1f} GiB"
