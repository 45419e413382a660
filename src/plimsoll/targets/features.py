"""Features that only some targets have: a target declares them, and `Features.require` refuses a missing one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from msgspec import Struct

from plimsoll.errors import FileError
from plimsoll.kinds.serve import Rollout, Serve

if TYPE_CHECKING:
    from plimsoll.application.loading import ApplicationFile
    from plimsoll.kubernetes.objects import Object
    from plimsoll.planning.capacity import Shortfall
    from plimsoll.planning.steps import AnyStep, Plan, Step
    from plimsoll.targets.exchange import ExchangesResults
    from plimsoll.targets.port import Session
    from plimsoll.targets.traffic import TrafficMover

Ability = TypeVar("Ability")


class Feature(Struct, Generic[Ability], frozen=True):
    """One feature. `does` completes the sentence "the target can …"."""

    name: str
    does: str


class CalledService(Struct, frozen=True, kw_only=True):
    """A running service: its address, the name of its model, and a name that it goes by if it minds names.

    `certificate` is the file of the one that it shows, for a service of this machine with encrypted connections.
    """

    url: str
    model: str
    host: str = ""
    certificate: str = ""


class CallsServices(Protocol):
    """Opens a service for calls from this machine."""

    def __call__(self, file: ApplicationFile, service: str) -> contextlib.AbstractContextManager[CalledService]:
        """The service, valid inside the block. Raises TargetError when it does not start."""
        ...


class RendersManifests(Protocol):
    """Renders everything that keeps running as manifests for Git."""

    def __call__(self, plan: Plan) -> Sequence[Object]:
        """The manifests. Raises TargetError for a model that is not trained yet."""
        ...


class MovesTraffic(Protocol):
    """Finds the running service of a model whose traffic can be moved."""

    def __call__(
        self, model: str | None, service: str | None, say: Callable[[str], None], stopped: Callable[[], bool]
    ) -> TrafficMover:
        """The service by its name, or the only one of the model. Raises PlimsollError when there is none.

        Without a model it is the service's only one.

        `say` gets a line for each wait; no wait continues after `stopped` returns true.
        """
        ...


class KnowsRights(Protocol):
    """Knows which rights an application needs on the target, and which of them are missing."""

    def missing(self, plan: Plan) -> Sequence[str]:
        """The rights that a run of the plan would lack, one sentence each."""
        ...

    def roles(self, plan: Plan, users: Sequence[str], groups: Sequence[str]) -> Sequence[Object]:
        """Kubernetes objects that give exactly the needed rights to these users and groups, or to who asks."""
        ...


class ChecksPlans(Protocol):
    """Finds what of a plan the target will refuse, beyond the capacity that its facts tell."""

    def __call__(self, plan: Plan) -> Sequence[Shortfall]:
        """What is wrong, each with its place in the file."""
        ...


class VersionUse(Struct, frozen=True, kw_only=True):
    """A version, as `triage@2`, that a service needs. `who` names what of it for a sentence.

    `files` are paths of this machine that it is read from; `run` is the id of the run that started it, if one did.
    `keys` are those of the results that the service reads, such as the table that drift is judged against.
    """

    reference: str
    service: str
    who: str
    files: tuple[str, ...] = ()
    run: str = ""
    keys: tuple[str, ...] = ()


class KnowsUses(Protocol):
    """Knows which versions services of the target need."""

    def __call__(self) -> Sequence[VersionUse]:
        """The versions of all services that are up: those that answer, and those that a rollback leads back to."""
        ...


class Leaving(Struct, frozen=True, kw_only=True):
    """Something outside of the state directory that finished runs have left. `size` is in bytes, 0 when not known."""

    kind: str
    name: str
    size: int = 0


class HasLeavings(Protocol):
    """Finds and removes what finished runs have left outside of the state directory."""

    def find(self, keys: Collection[str], say: Callable[[str], None]) -> Sequence[Leaving]:
        """What nothing needs any more; `keys` are those of the steps of kept runs.

        `say` is told what stays, and why.
        """
        ...

    def remove(self, keys: Collection[str], say: Callable[[str], None]) -> Sequence[Leaving]:
        """Remove what is not needed at this moment; returns what has gone. Raises TargetError while others use it."""
        ...

    def sizes(self) -> Mapping[str, int]:
        """Bytes that this application takes there, by kind."""
        ...


class ErasesRows(Protocol):
    """Finds and deletes results of steps that lie on the target itself, and not in the state directory."""

    def find(self, keys: Collection[str]) -> Sequence[Leaving]:
        """What is there of the steps with these keys. Raises PlimsollError where it cannot be told."""
        ...

    def remove(self, keys: Collection[str], say: Callable[[str], None]) -> Sequence[Leaving]:
        """Delete it while no run goes on; returns what has gone. Raises PlimsollError for what stays."""
        ...


class ReadsCurves(Protocol):
    """Reads the curve of a training while it runs."""

    def __call__(self, session: Session, step: AnyStep, series: str) -> Sequence[tuple[float, float]]:
        """The points of a series of metrics.jsonl so far: step and value. Empty before the first."""
        ...


class KeptService(Struct, frozen=True, kw_only=True):
    """A service that is kept up apart from runs. `work` names versions; `state` is `starting`, `up` or `failed`.

    `reason` says why it is not up, or what is missing though it is. `follows` is the model whose newly accepted
    versions it is for; empty where the file names versions.
    """

    work: Serve
    state: str
    follows: str = ""
    rollout: Rollout = "accepted"
    url: str = ""
    reason: str = ""


class KeepsServices(Protocol):
    """Keeps services up apart from runs, also after the terminal is closed."""

    def kept(self) -> Mapping[str, KeptService]:
        """The services that are to be kept up, by name, and how they are."""
        ...

    def keeper(self) -> str:
        """Who keeps them now, for a sentence; empty when nobody does."""
        ...

    def leading(self, service: str) -> str | None:
        """The version that had most of a service's requests, also when it is not up; `None` when it never was."""
        ...

    def address_problem(self, work: Serve) -> str:
        """Why the service cannot have its address now; empty when it can."""
        ...

    def keep(self, steps: Sequence[Step[Serve]], asked: Mapping[str, Serve]) -> None:
        """Have services kept up; their work names versions by number, and `asked` is each as the file has it.

        Raises PlimsollError when a version may not be served.
        """
        ...

    def release(self, services: Sequence[str]) -> list[str]:
        """End services, by default all of them; returns those that were kept. Raises TargetError for one that stays."""
        ...


class TellsAbsence(Protocol):
    """Tells whether a target that may be unreachable answers."""

    def __call__(self) -> str:
        """Why it does not answer now, in words; empty when it does. Asked once, and within seconds."""
        ...


class Schedules(Protocol):
    """Renders what runs an application by a schedule, with its rights."""

    def __call__(
        self, file: ApplicationFile, plan: Plan, schedule: str, settings: Sequence[str], steps: Sequence[str]
    ) -> Sequence[Object]:
        """The manifests. `settings` change parameters, `steps` are those that run, or none for all.

        Raises FileError for what is no schedule.
        """
        ...


CALL: Feature[CallsServices] = Feature("call", "call a service from this machine")
TRAFFIC: Feature[MovesTraffic] = Feature("traffic", "move a service's traffic to a version")
MANIFESTS: Feature[RendersManifests] = Feature("manifests", "render Kubernetes manifests")
RIGHTS: Feature[KnowsRights] = Feature("rights", "say which rights a run needs")
PLAN_CHECK: Feature[ChecksPlans] = Feature("plan-check", "check a plan")
USES: Feature[KnowsUses] = Feature("uses", "say which versions its services use")
LEAVINGS: Feature[HasLeavings] = Feature("leavings", "remove what finished runs have left")
ROWS: Feature[ErasesRows] = Feature("rows", "delete the results of steps")
SCHEDULE: Feature[Schedules] = Feature("schedule", "run an application by a schedule")
CURVES: Feature[ReadsCurves] = Feature("curves", "tell the curve of a training while it runs")
KEEP: Feature[KeepsServices] = Feature("keep", "keep services up apart from a run")
EXCHANGE: Feature[ExchangesResults] = Feature("exchange", "take part in a run over several targets")
ABSENCE: Feature[TellsAbsence] = Feature("absence", "tell whether it answers")
CONTAINER_IMAGES = "container-images"
"""The feature of targets that run commands in a container image."""


class Features:
    """The features of one target, and the reason for each missing one."""

    def __init__(self, target: str, implementations: Mapping[str, object], lacks: Mapping[str, str]) -> None:
        self._target = target
        self._implementations = implementations
        self.lacks = lacks

    def __contains__(self, feature: Feature[Any]) -> bool:
        return feature.name in self._implementations

    def require(self, feature: Feature[Ability]) -> Ability:
        """What carries the feature out. Raises FileError for one that the target does not have."""
        if feature.name not in self._implementations:
            reason = self.lacks.get(feature.name, "")
            message = f"{self._target} cannot {feature.does}{': ' + reason if reason else ''}"
            raise FileError(message, where="--target", hint="name a target that can")
        return cast("Ability", self._implementations[feature.name])


def feature_table(*pairs: tuple[Feature[Any], object]) -> Mapping[str, object]:
    """Map features by name to their implementations; `offers` checks the types of each pair."""
    return {feature.name: implementation for feature, implementation in pairs}


def offers(feature: Feature[Ability], implementation: Ability) -> tuple[Feature[Any], object]:
    """A pair of a feature and its implementation; mypy checks that their types match."""
    return feature, implementation
