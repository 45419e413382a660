"""The features of several targets together: a verb goes to the target that has the service, or to each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from plimsoll.errors import FileError
from plimsoll.kinds.service import SERVICES
from plimsoll.state.directory import LOCAL
from plimsoll.targets.features import (
    CALL,
    CURVES,
    KEEP,
    LEAVINGS,
    MANIFESTS,
    PLAN_CHECK,
    RIGHTS,
    SCHEDULE,
    TRAFFIC,
    USES,
    CalledService,
    Feature,
    Features,
    feature_table,
    offers,
)
from plimsoll.targets.several.plan_check import problems

if TYPE_CHECKING:
    from plimsoll.application.loading import ApplicationFile
    from plimsoll.kubernetes.objects import Object
    from plimsoll.planning.capacity import Shortfall
    from plimsoll.planning.steps import AnyStep, Plan
    from plimsoll.targets.port import Session, Target
    from plimsoll.targets.several.target import SeveralTarget
    from plimsoll.targets.traffic import TrafficMover

_OF_THIS_MACHINE: tuple[Feature[Any], ...] = (KEEP, USES, LEAVINGS)
ONE_CLUSTER = "its parts are on several, and each cluster has manifests of its own"


def features_of(target: SeveralTarget) -> Features:
    """The features of all together. What keeps services up apart from runs is this machine's."""
    there = _Several(target)
    here = target.parts[LOCAL].features
    own: list[tuple[Feature[Any], object]] = [  # Any: the abilities of these features have no type in common
        (feature, here.require(feature)) for feature in _OF_THIS_MACHINE if feature in here
    ]
    carriers = feature_table(
        offers(CALL, there.call),
        offers(TRAFFIC, there.traffic),
        offers(RIGHTS, there),
        offers(PLAN_CHECK, there.problems),
        offers(CURVES, there.curve),
        *own,
    )
    lacks = {MANIFESTS.name: ONE_CLUSTER, SCHEDULE.name: "what runs it would have to reach all of them"}
    return Features("a run over several targets", carriers, lacks)


class _Several:
    """Carries features out."""

    def __init__(self, target: SeveralTarget) -> None:
        self._target = target

    @contextlib.contextmanager
    def call(self, file: ApplicationFile, service: str) -> Iterator[CalledService]:
        """A service where the file has it, or where it is up."""
        part = SERVICES.of(file.application).get(service)
        named = self._named(part.target) if part is not None and part.target is not None else None
        with (named or self._target.part_with(service)).features.require(CALL)(file, service) as up:
            yield up

    def traffic(
        self, model: str | None, service: str | None, say: Callable[[str], None], stopped: Callable[[], bool]
    ) -> TrafficMover:
        """The service by its name, on the target that has it; by its model, the only one on all targets."""
        if service is not None:
            return self._target.part_with(service).features.require(TRAFFIC)(model, service, say, stopped)
        serving = [part for part in self._target.answering() if part.services()]
        if len(serving) > 1:
            names = sorted({name for part in serving for name in part.services()})
            raise FileError(
                f"services are up on {len(serving)} targets",
                where="--service",
                hint=f"name the one whose traffic is to be moved: --service {' or '.join(names)}",
            )
        (part,) = serving or [self._target.parts[LOCAL]]
        return part.features.require(TRAFFIC)(model, None, say, stopped)

    def problems(self, plan: Plan) -> Sequence[Shortfall]:
        """What each target will refuse of its own steps, and where rows that stay would lie beside those of others."""
        return problems(plan, self._target)

    def curve(self, session: Session, step: AnyStep, series: str) -> Sequence[tuple[float, float]]:
        """The points of a training, as its target tells them."""
        return self._target.parts[step.target or LOCAL].features.require(CURVES)(session, step, series)

    def missing(self, plan: Plan) -> Sequence[str]:
        """The rights that a run lacks, each with the target on which it does."""
        return [
            f"{lacking} (on {self._target.names.get(part.name, part.name)})"
            for part, own in self._plans(plan)
            if RIGHTS in part.features
            for lacking in part.features.require(RIGHTS).missing(own)
        ]

    def roles(self, plan: Plan, users: Sequence[str], groups: Sequence[str]) -> Sequence[Object]:
        """The rights of a run on the only cluster of the file. Raises FileError where there are several."""
        found = [(part, own) for part, own in self._plans(plan) if RIGHTS in part.features]
        if len(found) != 1:
            names = ", ".join(self._target.names.get(part.name, part.name) for part, _ in found) or "none"
            raise FileError(
                f"rights are given on one cluster at a time, and the steps are on {len(found)}: {names}",
                where="--print-rbac",
                hint="name the steps of one of them, such as `plimsoll run train/NAME --print-rbac`",
            )
        ((part, own),) = found
        return part.features.require(RIGHTS).roles(own, users, groups)

    def _plans(self, plan: Plan) -> Iterator[tuple[Target, Plan]]:
        """Each target that answers with its own steps, if it has any."""
        for part in self._target.answering():
            if steps := tuple(step for step in plan.steps if (step.target or LOCAL) == part.name):
                yield part, replace(plan, target=part.name, steps=steps)

    def _named(self, name: str) -> Target | None:
        called = self._target.names
        return next((part for each, part in self._target.parts.items() if name in (each, called[each])), None)
