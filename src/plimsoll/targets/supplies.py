"""The packages that the commands of an application run with, as far as this machine knows them."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from plimsoll.application.digests import Digests
from plimsoll.application.environment import environment_digest, package_directories
from plimsoll.application.loading import ApplicationFile
from plimsoll.errors import TargetError
from plimsoll.state.directory import StateDirectory
from plimsoll.supply.packages import Package, installed, site_packages
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
            return EnvironmentPackages(name=name, packages=installed(package_directories()))
        place = place_of(name, digest, directory)
        if not is_complete(place):
            gap = f"the environment of {name} has not been made on this machine: plimsoll run makes it"
            return EnvironmentPackages(name=name, packages=None, gap=gap)
        return EnvironmentPackages(name=name, packages=installed(site_packages(place)))
    except TargetError as error:
        return EnvironmentPackages(name=name, packages=None, gap=str(error))
