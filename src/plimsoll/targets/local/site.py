"""This machine as a place where applications are carried out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from plimsoll.errors import FileError, TargetError
from plimsoll.planning.facts import Facts
from plimsoll.planning.steps import Step
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.targets.local.servers import running_services
from plimsoll.targets.local.target import LocalTarget, finished, local_facts
from plimsoll.targets.local.watching import drift_of
from plimsoll.targets.options import Options
from plimsoll.telemetry.drift.state import DriftState


class LocalSite:
    """One application's directory on this machine."""

    name = LOCAL

    def __init__(self, directory: Path, options: Options) -> None:
        if not sys.platform.startswith("linux"):
            raise TargetError(
                f"the local target needs Linux, this is {sys.platform}", hint="run in a Linux machine or VM"
            )
        if options != Options():
            named = next(name for name in ("namespace", "registry", "base", "prefer") if getattr(options, name))
            raise FileError(
                f"--{named} is for a cluster", where=f"--{named}", hint="leave it out, or name a context with --target"
            )
        self._directory = directory
        self.state = StateDirectory(directory)

    def facts(self) -> Facts:
        """What this machine has."""
        return local_facts()

    def finished(self, step: Step) -> bool:
        """Whether the step's result is there."""
        return finished(self.state, step) is not None

    def open(self, run: str, *, watch: bool) -> LocalTarget:
        """Begin a run."""
        return LocalTarget(self._directory, run, watch=watch)

    def services(self) -> Mapping[str, str]:
        """Services that are up."""
        return {name: service.url for name, service in running_services(self.state).items()}

    def service_file(self, service: str) -> Path | None:
        """The file that the running service reads its weights from."""
        up = running_services(self.state).get(service)
        return Path(up.service_file) if up and up.service_file else None

    def drift(self, service: str) -> Sequence[DriftState]:
        """How a service's versions stand."""
        return drift_of(self.state, service)

    def remove(self) -> list[str]:
        """Nothing stays up here without a run."""
        return []

    def close(self) -> None:
        """Nothing is kept open."""
