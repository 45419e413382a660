"""From a target's name to the target. A new kind of target is a room beside this file and a line here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from plimsoll.state.directory import LOCAL
from plimsoll.targets.options import TargetOptions
from plimsoll.targets.port import Target


class TargetPlace(Struct, frozen=True, kw_only=True):
    """What a target is made for: its name, the application file's directory, and the application's name."""

    name: str
    directory: Path
    application: str


def _local(place: TargetPlace, options: TargetOptions) -> Target:
    from plimsoll.targets.local.target import LocalTarget

    return LocalTarget(place.directory, options)


def _kubernetes(place: TargetPlace, options: TargetOptions) -> Target:
    from plimsoll.targets.kubernetes.target import KubernetesTarget

    return KubernetesTarget(place.name, place.directory, place.application, options)


class TargetKind(Struct, frozen=True, kw_only=True):
    """A kind of target: which names stand for one, and how it is made. Imports wait until one is made."""

    named: Callable[[str], bool]
    make: Callable[[TargetPlace, TargetOptions], Target]


TARGETS = (
    TargetKind(named=lambda name: name == LOCAL, make=_local),
    TargetKind(named=lambda name: True, make=_kubernetes),
)
"""Asked in this order: `local` is this machine, any other name is a context of the kubeconfig."""


def target_of(name: str, directory: Path, application: str, options: TargetOptions | None = None) -> Target:
    """The target of a name. Raises FileError for a name that stands for nothing, TargetError when it cannot be used."""
    place = TargetPlace(name=name, directory=directory, application=application)
    kind = next(each for each in TARGETS if each.named(name))
    return kind.make(place, options or TargetOptions())
