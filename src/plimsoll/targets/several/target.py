"""The targets that one file names, as one: facts, features and a session for a run over all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from plimsoll.errors import PlimsollError
from plimsoll.planning.facts import TargetFacts
from plimsoll.state.directory import LOCAL, StateDirectory
from plimsoll.targets.features import ABSENCE, Features
from plimsoll.targets.port import Target
from plimsoll.targets.several.features import features_of
from plimsoll.targets.several.place import Place
from plimsoll.targets.several.session import SeveralSession
from plimsoll.telemetry.drift.state import DriftState

Answer = TypeVar("Answer")


class SeveralTarget:
    """`parts` are the targets by their names, this machine first; `names` is what the file calls them.

    A run over several is a run of this machine: its journal, its lock and its reports are here.
    """

    name = LOCAL

    def __init__(
        self, application: str, directory: Path, parts: Mapping[str, Target], names: Mapping[str, str]
    ) -> None:
        self.parts = parts
        self.names = names
        self.state = StateDirectory(directory)
        self._application = application
        self._absent: dict[str, str] = {}
        for name, part in parts.items():
            if name != LOCAL:
                # One run has one journal, and its logs lie beside it.
                part.state.keep_runs_in(self.state)

    @property
    def features(self) -> Features:
        """Each verb goes to the target on which the service is, or to all of them."""
        return features_of(self)

    def facts(self) -> TargetFacts:
        """Those of this machine, with those of each target; of one that does not answer only that."""
        here = self.parts[LOCAL].facts()
        found = {name: here if name == LOCAL else self._facts_of(name, here) for name in self.parts}
        return replace(here, parts=found)

    def open(self, run: str, *, watch: bool) -> SeveralSession:
        """A session for one run over all targets. None of them is asked before it begins."""
        places = {
            name: Place(part, self.names.get(name, name), run, watch=watch and name == LOCAL)
            for name, part in self.parts.items()
        }
        return SeveralSession(places, self._application, LOCAL)

    def services(self) -> Mapping[str, str]:
        """The addresses of the services that are up on any target that answers."""
        found: dict[str, str] = {}
        for part in self.answering():
            found |= part.services()
        return found

    def service_notes(self, service: str) -> Sequence[str]:
        """On which target it is, and the notes that the target has."""
        part = self.part_with(service)
        where = [f"it is on {self.names.get(part.name, part.name)}"] if part.name != LOCAL else []
        return [*where, *part.service_notes(service)]

    def waits(self) -> Sequence[str]:
        """Which targets do not answer, and what waits on those that do."""
        waits = [wait for part in self.answering() for wait in part.waits()]
        away = [f"{self.names.get(name, name)} does not answer: {why}" for name, why in self.absent().items()]
        return [*away, *waits]

    def run_note(self) -> str:
        """Whose run of the application goes on on any target that this directory has not started."""
        notes = ((part, part.run_note()) for part in self.answering())
        return "; ".join(f"{self.names.get(part.name, part.name)}: {note}" for part, note in notes if note)

    def drift(self, service: str) -> Sequence[DriftState]:
        """The drift of a service's versions, from the target on which it is."""
        return self.part_with(service).drift(service)

    def problems(self) -> Mapping[str, str]:
        """Services that should run and cannot be reached, on any target that answers."""
        found: dict[str, str] = {}
        for part in self.answering():
            found |= part.problems()
        return found

    def remove(
        self,
        say: Callable[[str], None] = lambda _: None,
        *,
        force: bool = False,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> list[str]:
        """Delete the services on all targets; what is on one that does not answer stays, and is told."""
        removed: list[str] = []
        for part in self.answering():
            name = self.names.get(part.name, part.name)
            removed += [f"{each} on {name}" for each in part.remove(say, force=force, waiting=waiting)]
        for away, why in self.absent().items():
            say(f"{self.names.get(away, away)} does not answer, and what is there stays up: {why}")
        return removed

    def close(self) -> None:
        """Close connections to all targets."""
        with contextlib.ExitStack() as stack:
            for part in self.parts.values():
                stack.callback(part.close)

    def answering(self) -> list[Target]:
        """The targets that answer."""
        absent = self.absent()
        return [part for name, part in self.parts.items() if name not in absent]

    def absent(self) -> Mapping[str, str]:
        """Why each target does not answer that does not, as it was when this was asked first."""
        for name, part in self.parts.items():
            if name not in self._absent:
                self._absent[name] = part.features.require(ABSENCE)() if ABSENCE in part.features else ""
        return {name: why for name, why in self._absent.items() if why}

    def part_with(self, service: str) -> Target:
        """The target on which a service is up, or should be; this machine where none has it."""
        for part in self.answering():
            if service in part.services() or service in part.problems():
                return part
        return self.parts[LOCAL]

    def _facts_of(self, name: str, here: TargetFacts) -> TargetFacts:
        """The facts of a target; without bounds where it does not answer, so that its steps can wait for it."""
        unknown = TargetFacts(target=name, cpu=float("inf"), memory=2**62, accelerators=2**31, versions=here.versions)
        if reason := self.absent().get(name):
            return replace(unknown, away=reason)
        try:
            return self.parts[name].facts()
        except PlimsollError:
            self._absent.pop(name, None)
            if reason := self.absent().get(name):
                return replace(unknown, away=reason)
            raise
