"""The groups of devices of a file, as the verbs of `plimsoll edge` need them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plimsoll.cli.options import application_file
from plimsoll.cli.terminal import one_line
from plimsoll.errors import FileError

if TYPE_CHECKING:
    from plimsoll.application.application import ApplicationSpec
    from plimsoll.edge.documents import WantedService
    from plimsoll.edge.moving import Groups
    from plimsoll.edge.owner import Owner
    from plimsoll.kinds.service import Service
    from plimsoll.registry.models import ModelRegistry


class EdgeGroups:
    """The groups of one file, which was checked. Raises FileError for a file with mistakes."""

    def __init__(self, path: Path) -> None:
        from plimsoll.kinds.edge import EDGES
        from plimsoll.kinds.table import KINDS

        self.file = application_file(path)
        loaded = KINDS.load(self.file)
        KINDS.check(loaded, None)
        self._application: ApplicationSpec = loaded.application
        self._edges = EDGES.of(self._application)
        self.selectors: Mapping[str, Mapping[str, str]] = EDGES.selectors(self._application)
        self.owner = cache(self._owner)

    @property
    def names(self) -> list[str]:
        """The groups of the file. Raises FileError when it has none."""
        if not self._edges:
            raise FileError("the file has no group of devices", where=str(self.file), hint="add spec.edges")
        return list(self._edges)

    @property
    def state_root(self) -> Path:
        """The state directory of the file's application on this machine."""
        from plimsoll.state.directory import StateDirectory

        return StateDirectory(self.file.absolute().parent).root

    def require(self, group: str) -> None:
        """Raise FileError for a group that the file does not have."""
        if group not in self._edges:
            hint = f"the groups are: {', '.join(self._edges) or 'none; add spec.edges'}"
            raise FileError(f"there is no group '{group}'", where=str(self.file), hint=hint)

    def together(self) -> Groups:
        """The groups for what concerns several of them."""
        from plimsoll.edge.moving import Groups

        return Groups(self.names, self.selectors, self.owner)

    def services(self, group: str) -> Mapping[str, Service]:
        """The services of a group, by name."""
        from plimsoll.kinds.service import SERVICES

        services = SERVICES.of(self._application)
        return {name: services[name] for name in self._edges[group].services}

    def wanted(self, group: str) -> tuple[list[WantedService], ModelRegistry]:
        """The services of a group with their models pushed, and where the models are."""
        from plimsoll.edge.releasing import wanted_services
        from plimsoll.engine.policies.admission import require_admitted
        from plimsoll.kinds.service import SERVICES
        from plimsoll.state.directory import StateDirectory
        from plimsoll.targets.models import model_registry

        state = StateDirectory(self.file.absolute().parent)
        models, services, edge = model_registry(state), SERVICES.of(self._application), self._edges[group]
        versions = [models.find(services[name].leading) for name in edge.services]
        require_admitted(state, versions, f"the release for {group}", self.file)
        return list(wanted_services(edge, services, models)), models

    def _owner(self, group: str) -> Owner:
        from plimsoll.edge.owner import Owner
        from plimsoll.signing.keys import KeyRing
        from plimsoll.state.directory import StateDirectory

        self.require(group)
        state = StateDirectory(self.file.absolute().parent)
        state.make()
        owner = Owner(state.root, group, self._edges[group], KeyRing.default(), _say)
        click.get_current_context().call_on_close(owner.close)
        return owner


def owner_of(path: Path, group: str) -> Owner:
    """The owner's side of a group of the file. Raises FileError for a group that the file does not have."""
    return EdgeGroups(path).owner(group)


def _say(line: str) -> None:
    click.echo(one_line(line), err=True)
