"""Where each step of a plan over several targets runs, and why; which rows stay where they are. Pure.

A step runs where its part of the file says, or where its rows stay. Otherwise it runs where what it needs is made; a
source runs where it is needed; and what is on several targets, or on none, is brought to this machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from plimsoll.planning.capacity import Shortfall
from plimsoll.planning.steps import AnyStep, Plan

COMMAND = "command"
"""The kind of ingredient by which a step that runs a command of the user's is known."""


class Named(Struct, frozen=True, kw_only=True):
    """What the file says of the part of a step: the target that it names, and the one that its rows never leave.

    Both are targets and not names of the file; empty for what is not said.
    """

    target: str = ""
    stay: str = ""


NOTHING = Named()


def staying(plan: Plan, named: Mapping[str, Named]) -> Plan:
    """The plan with the target that the rows of each step must not leave: of those that say so, and all made of them.

    A model may leave, and so ends the rule for what needs it.
    """
    stays: dict[str, str] = {}
    steps = []
    found = {step.name: step for step in plan.steps}
    for step in plan.steps:
        rows = (stays[each] for each in step.needs if stays.get(each) and found[each].work.travels == "data")
        bound = (stays[each] for each in step.needs if stays.get(each) and not found[each].work.leaves)
        stay = named.get(step.name, NOTHING).stay or next(rows, "") or next(bound, "")
        stays[step.name] = "" if step.work.travels == "never" else stay
        steps.append(replace(step, stays=stays[step.name]))
    return replace(plan, steps=tuple(steps))


def placed(plan: Plan, named: Mapping[str, Named], names: Mapping[str, str], here: str) -> Plan:
    """The plan with the target of each step, and why. `names` is what the file calls targets, `here` this machine."""
    plan = staying(plan, named)
    placing = _Placing(plan, named, names, here)
    steps = tuple(replace(step, target=placing.target(step)) for step in plan.steps)
    return replace(plan, steps=steps, names=names, whys=placing.whys)


class _Placing:
    """The targets of steps, in the order of the plan."""

    def __init__(self, plan: Plan, named: Mapping[str, Named], names: Mapping[str, str], here: str) -> None:
        self._steps = {step.name: step for step in plan.steps}
        self._named = named
        self._names = names
        self._here = here
        self._targets: dict[str, str] = {}
        self.whys: dict[str, str] = {}
        later = []
        for step in plan.steps:
            if step.work.travels == "never" and not self._of(step).target:
                later.append(step)
            else:
                self._targets[step.name], self.whys[step.name] = self._choose(step)
        for step in later:
            self._targets[step.name], self.whys[step.name] = self._beside(step)

    def target(self, step: AnyStep) -> str:
        """Where a step runs."""
        return self._targets[step.name]

    def _of(self, step: AnyStep) -> Named:
        return self._named.get(step.name, NOTHING)

    def _choose(self, step: AnyStep) -> tuple[str, str]:
        said = self._of(step)
        if said.target:
            return said.target, "the file says so"
        if step.stays:
            return step.stays, "its rows stay there" if said.stay else "the rows that it reads stay there"
        if not any(self._steps[each].work.travels != "never" for each in step.needs):
            return self._source(step)
        for kind in ("data", "model"):
            makers = [each for each in step.needs if self._steps[each].work.travels == kind]
            targets = list(dict.fromkeys(self._targets[each] for each in makers))
            if len(targets) == 1:
                return targets[0], f"{makers[0]} is there"
            if targets:
                return self._here, f"what it needs is on {self._listed(targets)}"
        return self._here, "nothing names another target"

    def _source(self, step: AnyStep) -> tuple[str, str]:
        """Where a step runs that needs nothing: beside those that need it, unless it reads what lies here."""
        if step.work.reads_here:
            return self._here, "it lies on this machine"
        readers = [each for each in self._steps.values() if step.name in each.needs]
        targets = {self._of(each).target or each.stays for each in readers}
        if len(targets) == 1 and (target := targets.pop()):
            return target, f"{readers[0].name} needs it there"
        return self._here, "nothing names another target"

    def _beside(self, step: AnyStep) -> tuple[str, str]:
        """Where what does not travel is made first; for others it is made again."""
        readers = [each for each in self._steps.values() if step.name in each.needs]
        targets = list(dict.fromkeys(self._targets[each.name] for each in readers if each.name in self._targets))
        if not targets:
            return self._here, "nothing names another target"
        again = f", and is made on {self._listed(targets[1:])} too" if targets[1:] else ""
        return targets[0], f"{readers[0].name} needs it there{again}"

    def _listed(self, targets: Iterable[str]) -> str:
        return " and ".join(self._names.get(each, each) for each in targets)


def rows_that_would_leave(plan: Plan, names: Mapping[str, str]) -> Iterator[Shortfall]:
    """Each step that would need rows on another target than the one that they stay on."""
    steps = {step.name: step for step in plan.steps}
    for step in plan.steps:
        where = step.target or plan.target
        if step.stays and step.stays != where and not _is_read(step, steps):
            yield _made_elsewhere(step, where, names)
        for need in step.needs:
            made = steps.get(need)
            if made is None or not made.stays or made.work.leaves or made.stays == where:
                continue
            stay, there = names.get(made.stays, made.stays), names.get(where, where)
            yield Shortfall(
                step=step.name,
                setting=(),
                at_key=True,
                message=f"{step.name} would run on {there}, and needs rows of {made.name}, which stay on {stay}",
                remedy=_remedy(step, stay),
            )


def _remedy(step: AnyStep, stay: str) -> str:
    """What to change for a step that would need rows which stay on `stay`, as the file calls it."""
    word, freed = step.work.placed_by[0], "take `stay` away from the dataset that says so"
    if word != "target":
        return f"leave `{word}` out, or {freed}"
    return f"run it on {stay} (target: {stay}), or {freed}"


def _is_read(step: AnyStep, steps: Mapping[str, AnyStep]) -> bool:
    """Whether its rows are those of a step that it needs, which is told by itself."""
    return any(each in steps and steps[each].stays for each in step.needs)


def _made_elsewhere(step: AnyStep, where: str, names: Mapping[str, str]) -> Shortfall:
    stay, there = names.get(step.stays, step.stays), names.get(where, where)
    return Shortfall(
        step=step.name,
        setting=("stay",),
        message=f"the rows of {step.name} stay on {stay}, and it would run on {there}",
        remedy="leave --target out: each part then runs where the file says",
    )


class Journey(Struct, frozen=True, kw_only=True):
    """What travels when a plan is carried out: the result of `step`, from one target to another, and for whom."""

    step: str
    origin: str
    to: str
    needed_by: tuple[str, ...]
    model: bool = False


def journeys(plan: Plan, here: str) -> tuple[Journey, ...]:
    """All that travels between targets, in the order of the plan. A model comes from this machine, which signs it."""
    steps = {step.name: step for step in plan.steps}
    found: dict[tuple[str, str, str], list[str]] = {}
    for step in plan.steps:
        for need in step.needs:
            made = steps.get(need)
            if made is None or made.work.travels in ("never", "nothing") or made.target == step.target:
                continue
            origin = here if made.work.travels == "model" else made.target
            if origin != step.target:
                found.setdefault((made.name, origin, step.target), []).append(step.name)
        for origin, to, why in own_journeys(step, here):
            found.setdefault((step.name, origin, to), []).append(why)
    return tuple(
        Journey(step=name, origin=origin, to=to, needed_by=tuple(by), model=steps[name].work.travels == "model")
        for (name, origin, to), by in found.items()
    )


def own_journeys(step: AnyStep, here: str) -> Iterator[tuple[str, str, str]]:
    """What a step itself sends between its target and this machine: from where, to where, and why."""
    if not step.target or step.target == here:
        return
    if step.work.reads_here and step.work.travels == "data":
        yield here, step.target, "the step itself"
    if step.work.kept_here and (step.work.leaves or not step.stays):
        yield step.target, here, "your own view"
    if step.work.travels == "model":
        yield here, step.target, "its registry"
