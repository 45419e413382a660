"""Checks that the target has the capacity for a plan, before any step starts: a gang must not start in part."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from plimsoll.errors import install_command
from plimsoll.planning.facts import TargetFacts
from plimsoll.planning.steps import AnyStep, Plan


class Shortfall(Struct, frozen=True, kw_only=True):
    """A request of one step that the target cannot satisfy; `setting` is its path of keys in the part of the file.

    Without a step it is of the application as a whole, and `setting` is a path in the file. With `at_key` the name of
    the part is what is wrong.
    """

    step: str
    setting: tuple[str, ...]
    at_key: bool = False
    message: str
    remedy: str


def shortfalls(plan: Plan, facts: TargetFacts) -> tuple[Shortfall, ...]:
    """The shortfalls of every step that could not start on an otherwise idle target."""
    return (
        *_missing_extras(plan, facts),
        *(shortfall for step in plan.steps for shortfall in _of_step(step, facts.of(step.target))),
    )


def _missing_extras(plan: Plan, facts: TargetFacts) -> Iterator[Shortfall]:
    """One shortfall for all extras that are missing, so that one command adds them."""
    lacking = [(step.name, each) for step in plan.steps for each in step.work.needed_extras()]
    lacking = [(step, extra) for step, extra in lacking if extra in facts.missing_extras]
    if lacking:
        extras = tuple(dict.fromkeys(extra for _, extra in lacking))
        steps = list(dict.fromkeys(step for step, _ in lacking))
        named = " and ".join(f"'{extra}'" for extra in extras)
        who = f"{', '.join(steps)} {'need' if len(steps) > 1 else 'needs'}"
        what = "extras {}, which are" if len(extras) > 1 else "extra {}, which is"
        message = f"{who} the {what.format(named)} not installed"
        yield Shortfall(step=steps[0], setting=(), at_key=True, message=message, remedy=install_command(extras))


def _of_step(step: AnyStep, facts: TargetFacts) -> list[Shortfall]:
    found = [*_missing_features(step, facts), *_unisolated(step, facts)]
    workers, resources = step.workers, step.resources
    subject = f"{workers} workers of {step.name} request" if workers > 1 else f"{step.name} requests"
    together = " together" if workers > 1 else ""
    cores = workers * resources.cores
    if cores > facts.cpu:
        message = f"{subject} {cores:g} processor cores{together}; {facts.target} has {facts.cpu:g}"
        remedy = "request fewer workers or less cpu (a fraction such as 0.5 is allowed)"
        found.append(Shortfall(step=step.name, setting=("resources", "cpu"), message=message, remedy=remedy))
    memory = workers * (resources.memory or 0)
    if memory > facts.memory:
        message = f"{subject} {_gibibytes(memory)} of memory{together}; {facts.target} has {_gibibytes(facts.memory)}"
        remedy = "request less memory"
        found.append(Shortfall(step=step.name, setting=("resources", "memory"), message=message, remedy=remedy))
    accelerators = workers * _counted(step, facts)
    if accelerators > facts.accelerators:
        message = f"{subject} {accelerators} accelerators{together}; {facts.target} has {facts.accelerators}"
        remedy = "set accelerators to 0 to train on processors, or use a target that has them"
        found.append(Shortfall(step=step.name, setting=("resources", "accelerators"), message=message, remedy=remedy))
    return found or _larger_than_every_node(step, facts)


def _counted(step: AnyStep, facts: TargetFacts) -> int:
    """The accelerators of a worker, where all of the target are of one kind as far as planning knows."""
    return 0 if step.resources.accelerator and facts.knows_kinds else step.resources.accelerators


def _missing_features(step: AnyStep, facts: TargetFacts) -> Iterator[Shortfall]:
    """Features that the step needs and the target does not have."""
    if facts.verbs is not None and step.verb not in facts.verbs:
        message = f"{facts.target} does not support '{step.verb}' steps such as {step.name}"
        yield Shortfall(step=step.name, setting=(), message=message, remedy="use another target")
    for request in step.work.needed_features():
        if request.feature in facts.lacks:
            reason = facts.lacks[request.feature]
            message = f"{step.name} {request.asks}, which {facts.target} does not support: {reason}"
            yield Shortfall(step=step.name, setting=request.setting, message=message, remedy=request.remedy)


def _unisolated(step: AnyStep, facts: TargetFacts) -> Iterator[Shortfall]:
    """A level that the target cannot give: to run without would be to do what the file forbids."""
    if step.isolation is None or step.isolation.level == "none" or facts.isolation is None or facts.isolation.by:
        return
    message = f"{step.name} asks for isolation: {step.isolation.level}, and {facts.isolation.problem}"
    remedy = f"{facts.isolation.remedy}; or write isolation: none"
    yield Shortfall(step=step.name, setting=("isolation",), message=message, remedy=remedy)


def _larger_than_every_node(step: AnyStep, facts: TargetFacts) -> list[Shortfall]:
    """A worker that fits the sum of all nodes but no single node."""
    if not facts.machines:
        return []
    share = step.resources
    requested = {"cpu": share.cores, "memory": float(share.memory or 0), "accelerators": float(_counted(step, facts))}
    if any(all(getattr(each, name) >= amount for name, amount in requested.items()) for each in facts.machines):
        return []
    name = next(
        (name for name, amount in requested.items() if all(getattr(each, name) < amount for each in facts.machines)),
        "cpu",
    )
    most = max(float(getattr(each, name)) for each in facts.machines)
    template = {"cpu": "{:g} cores", "memory": "{:g} bytes of memory", "accelerators": "{:g} accelerators"}[name]
    message = (
        f"a worker of {step.name} requests {template.format(requested[name])}; "
        f"the largest of {len(facts.machines)} nodes of {facts.target} has {template.format(most)}"
    )
    remedy = "request less for each worker and more workers, or add larger nodes"
    return [Shortfall(step=step.name, setting=("resources", name), message=message, remedy=remedy)]


def _gibibytes(amount: int) -> str:
    return f"{amount / 2**30:.1f} GiB"
