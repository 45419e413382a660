"""Finds the target with a name. A new kind of target is one package in this directory and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from plimsoll.state.directory import LOCAL
from plimsoll.targets.options import TargetOptions
from plimsoll.targets.port import Target

if TYPE_CHECKING:
    from plimsoll.targets.several.target import SeveralTarget


class TargetPlace(Struct, frozen=True, kw_only=True):
    """The arguments of a new target: its name, the application file's directory, and the application's name."""

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
    """A kind of target: the names that it accepts, and its constructor, which imports it only when called."""

    accepts: Callable[[str], bool]
    make: Callable[[TargetPlace, TargetOptions], Target]


TARGETS = (
    TargetKind(accepts=lambda name: name == LOCAL, make=_local),
    TargetKind(accepts=lambda name: True, make=_kubernetes),
)
"""Tried in this order: `local` is this machine, any other name is a kubeconfig context."""


def target_of(name: str, directory: Path, application: str, options: TargetOptions | None = None) -> Target:
    """The target with a name. Raises FileError for an unknown name, TargetError when it cannot be used."""
    place = TargetPlace(name=name, directory=directory, application=application)
    kind = next(each for each in TARGETS if each.accepts(name))
    return kind.make(place, options or TargetOptions())


def several_of(
    names: Mapping[str, str], directory: Path, application: str, options: Callable[[str], TargetOptions]
) -> SeveralTarget:
    """Several targets as one, by their names, this machine first. `names` maps each to what the file calls it.

    `options` gives those of a target. Raises as `target_of` does.
    """
    from plimsoll.targets.several.target import SeveralTarget

    made: dict[str, Target] = {}
    try:
        for name in names:
            made[name] = target_of(name, directory, application, options(name))
    except BaseException:  # whatever happens, also Ctrl-C: whoever asked gets no target that could be closed
        for part in made.values():
            part.close()
        raise
    return SeveralTarget(application, directory, made, names)
