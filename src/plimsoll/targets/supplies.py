"""The packages that the commands of an application run with, as far as this machine knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from plimsoll.application.digests import Digests
from plimsoll.application.environment import environment_digest, package_directories
from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import TargetError
from plimsoll.registry.attestations import ATTESTATION_ARTIFACT, add_attestation
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import ModelVersion
from plimsoll.state.directory import StateDirectory
from plimsoll.supply import provenance
from plimsoll.supply.inventory import of_model
from plimsoll.supply.packages import Package, installed, site_packages
from plimsoll.supply.rendering import FORMATS
from plimsoll.targets.local.environments import is_complete, place_of

OWN_PYTHON = "python"
"""The name of the environment of commands for which the file names no requirements."""


class EnvironmentPackages(Struct, frozen=True, kw_only=True):
    """The packages of an environment; None when they are not known, and `gap` says why."""

    name: str
    packages: tuple[Package, ...] | None
    gap: str = ""


def environment_packages(file: ApplicationFile) -> EnvironmentPackages:
    """The packages of an application's environment, when it has been made here."""
    environment = file.application.environment
    if environment.image is not None:
        gap = f"the packages of the image {environment.image} are not read: scan the image with a scanner of images"
        return EnvironmentPackages(name=environment.image, packages=None, gap=gap)
    name, digest = environment_digest(file, Digests(StateDirectory(file.directory).digests))
    return packages_of(name, digest, file.directory)


def packages_of(name: str, digest: str, directory: Path) -> EnvironmentPackages:
    """The packages of the environment that an application in `directory` names and has the digest of."""
    if not digest:
        return EnvironmentPackages(name=name, packages=None, gap="it is not recorded with which packages it was made")
    try:
        if name == OWN_PYTHON:
            found = installed(package_directories())
            # A python on PATH that is a script which looks for another has none beside it.
            gap = "" if found else "no package was found beside the python on PATH: name `requirements`"
            return EnvironmentPackages(name=name, packages=found or None, gap=gap)
        place = place_of(name, digest, directory)
        if not is_complete(place):
            gap = f"the environment of {name} has not been made on this machine: plimsoll run makes it"
            return EnvironmentPackages(name=name, packages=None, gap=gap)
        return EnvironmentPackages(name=name, packages=installed(site_packages(place)))
    except TargetError as error:
        return EnvironmentPackages(name=name, packages=None, gap=str(error))


def attest(
    registry: ModelRegistry,
    version: ModelVersion,
    environment: str,
    directory: Path,
    byproducts: Sequence[Mapping[str, object]] = (),
) -> None:
    """Attach bills of materials and provenance to a version, unless it has them.

    `environment` is the name of that of its training, which the lineage has the digest of. `byproducts` are what
    provenance names besides.
    """
    if any(each.artifact_type == ATTESTATION_ARTIFACT for each in registry.attestations(version)):
        return
    found = _packages_of_version(version, environment, directory)
    inventory = of_model(version, found.packages, found.gap)
    predicates = [(kind, render(inventory)) for kind, render in FORMATS.values()]
    predicates.append((provenance.PREDICATE, provenance.provenance(version, byproducts)))
    made = [add_attestation(registry.layout, version, *each, registry.keys) for each in predicates]
    registry.attach(version, made)


def _packages_of_version(version: ModelVersion, environment: str, directory: Path) -> EnvironmentPackages:
    if version.lineage.origin is not None:
        gap = "the model was brought: with which packages it was trained is not known"
        return EnvironmentPackages(name=environment, packages=None, gap=gap)
    return packages_of(environment, version.lineage.environment, directory)
