"""What not every target can do: declared by a target, asked for by name, and refused here with one sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from msgspec import Struct

from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.application.loading import ApplicationFile
    from plimsoll.planning.steps import Plan
    from plimsoll.targets.traffic import TrafficMover

Ability = TypeVar("Ability")


class Feature(Struct, Generic[Ability], frozen=True):
    """One feature. `does` completes the sentence "the target can …"."""

    name: str
    does: str


class CalledService(Struct, frozen=True, kw_only=True):
    """A service that answers now: its address and the name of its model."""

    url: str
    model: str


class CallsServices(Protocol):
    """Reaches a service from this machine."""

    def __call__(self, file: ApplicationFile, service: str) -> contextlib.AbstractContextManager[CalledService]:
        """The service for as long as the block runs. Raises TargetError when it does not come up."""
        ...


class RendersManifests(Protocol):
    """Gives what keeps running as objects for Git."""

    def __call__(self, plan: Plan) -> Sequence[Mapping[str, Any]]:  # Any: a Kubernetes object
        """The objects. Raises TargetError for a model that is not trained yet."""
        ...


class MovesTraffic(Protocol):
    """Finds the running service of a model whose traffic can be moved."""

    def __call__(
        self, model: str, service: str | None, say: Callable[[str], None], stopped: Callable[[], bool]
    ) -> TrafficMover:
        """The service by its name, or the only one of the model. Raises PlimsollError when there is none.

        `say` is told what is waited for; once `stopped` is true, nothing is waited for any longer.
        """
        ...


CALL: Feature[CallsServices] = Feature("call", "call a service from this machine")
TRAFFIC: Feature[MovesTraffic] = Feature("traffic", "move a service's traffic to a version")
MANIFESTS: Feature[RendersManifests] = Feature("manifests", "render Kubernetes manifests")
CONTAINER_IMAGES = "container-images"
"""The feature of targets that run commands in an image of the user's choice."""


class Features:
    """The features of one target: what it can do, and for the rest why not."""

    def __init__(self, target: str, able: Mapping[str, object], lacks: Mapping[str, str]) -> None:
        self._target = target
        self._able = able
        self.lacks = lacks

    def __contains__(self, feature: Feature[Any]) -> bool:
        return feature.name in self._able

    def require(self, feature: Feature[Ability]) -> Ability:
        """What carries the feature out. Raises FileError for one that the target does not have."""
        if feature.name not in self._able:
            reason = self.lacks.get(feature.name, "")
            message = f"{self._target} cannot {feature.does}{': ' + reason if reason else ''}"
            raise FileError(message, where="--target", hint="name a target that can")
        return cast("Ability", self._able[feature.name])


def able(*pairs: tuple[Feature[Any], object]) -> Mapping[str, object]:
    """Features by name with what carries each out; see `offers` for the check of their types."""
    return {feature.name: carrier for feature, carrier in pairs}


def offers(feature: Feature[Ability], carrier: Ability) -> tuple[Feature[Any], object]:
    """A feature with what carries it out; mypy holds the one against the other."""
    return feature, carrier
