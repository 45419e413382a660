"""What a device serves: releases are fetched, brought beside what answers, shown, and taken back when they fail."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec.structs import replace

from plimsoll.edge.agent.disk import AgentDisk, Applied
from plimsoll.edge.agent.fetching import Fetching
from plimsoll.edge.agent.serving import DeviceService, model_file_at
from plimsoll.edge.documents import ServiceReport, WantedService
from plimsoll.errors import PlimsollError
from plimsoll.registry.references import parse_reference
from plimsoll.registry.verification import check_directory
from plimsoll.runtime.server.service_file import ModelFile
from plimsoll.targets.local.warden import Warden

SETTLED = 30.0
"""Seconds after which a new release has shown itself; before, a server that ends or fails takes it back."""
MOST_ERRORS = 0.1
"""Share of the requests since a switch that may fail with the server's fault."""


class Following:
    """The services of a device. `say` gets a line for each thing that happens, `tell` one for each problem."""

    def __init__(self, disk: AgentDisk, device: str, say: Callable[[str], None], tell: Callable[[str], None]) -> None:
        self.services: dict[str, DeviceService] = {}
        self.applied = disk.applied()
        self._disk = disk
        self._fetching = Fetching(disk, tell)
        self._device = device
        self._say = say
        self._tell = tell
        self._warden = Warden()
        self._switched = time.monotonic() if self.applied.former is not None else None
        self._restarts: dict[str, int] = {}

    def resume(self) -> None:
        """Serve what was served before the agent's last end, without asking anybody."""
        for wanted in self.applied.services:
            try:
                self._bring_one(wanted, self._on_disk(wanted))
            except PlimsollError as error:
                self._tell(f"{wanted.name} with {wanted.model}: {error.on_one_line()}")
        if self.services:
            self._say(f"serves release {self.applied.release} from this disk")

    def stop(self) -> None:
        """Answer what is under way, and end."""
        for service in self.services.values():
            service.stop()

    def reports(self) -> tuple[ServiceReport, ...]:
        """What each service has answered."""
        return tuple(service.report() for service in self.services.values())

    def follow(self, group: str, release: int, wanted: tuple[WantedService, ...]) -> bool:
        """Bring the services to a release of a group; whether something changed.

        One that cannot be proved is taken back, and not tried again.
        """
        if group != self.applied.group:
            # Numbers of releases are those of one group: what is served stays, and is no release of this one.
            self._keep(replace(self.applied, group=group, release=0, former_release=0, failed=0, problem=""))
        applied = self.applied
        if (release, wanted) == (applied.release, applied.services) or (release and release == applied.failed):
            return False
        try:
            fetched = sum(self._fetching.fetch(each, applied.services) for each in wanted)
            models = {each.name: self._on_disk(each) for each in wanted}
        except PlimsollError as error:
            # The link or the registry, most of the time: the next sync goes on where this one ended.
            self._tell(f"release {release}: {error.on_one_line()}")
            return False
        if problem := self._bring(wanted, models):
            self._take_back(release, problem)
            return False
        former = applied.services if applied.services and wanted else None
        self._keep(
            Applied(
                group=group,
                release=release,
                services=wanted,
                former_release=applied.release,
                former=former,
                fetched=fetched,
            )
        )
        self._switched = time.monotonic() if former is not None else None
        self._say(f"serves release {release}: {', '.join(f'{each.name} {each.model}' for each in wanted) or 'nothing'}")
        if former is None:
            self._sweep()
        return True

    def watch(self) -> None:
        """Start a server that has ended; take a release back that does not show itself."""
        for name, service in self.services.items():
            if ended := service.ended():
                self._restarts[name] = self._restarts.get(name, 0) + 1
                if self._switched is not None and self._restarts[name] > 1:
                    self._back_to_former(f"{name}: {ended}")
                    return
                self._say(f"{name}: {ended}; it is started again")
                self._start_again(service)
        if self._switched is None or time.monotonic() - self._switched < SETTLED:
            return
        reports = [service.report() for service in self.services.values()]
        bad = next((each for each in reports if each.errors > MOST_ERRORS * max(1, each.requests)), None)
        if bad is not None:
            self._back_to_former(f"{bad.name}: {bad.errors} of {bad.requests} requests failed")
            return
        self._switched = None
        self._restarts.clear()
        self._keep(replace(self.applied, former_release=0, former=None))
        self._sweep()

    def _start_again(self, service: DeviceService) -> None:
        service.stop()
        try:
            service.start(self._on_disk(service.wanted))
        except PlimsollError as error:
            self._tell(f"{service.wanted.name}: {error.on_one_line()}")

    def _back_to_former(self, problem: str) -> None:
        failed, former = self.applied.release, self.applied.former
        self._switched = None
        self._restarts.clear()
        if former is None:
            return
        self._restore({each.name: each for each in former})
        release, group = self.applied.former_release, self.applied.group
        self._keep(Applied(group=group, release=release, services=former, failed=failed, problem=problem))
        self._say(f"took release {failed} back: {problem}")

    def _bring(self, wanted: tuple[WantedService, ...], models: dict[str, ModelFile]) -> str:
        """Start, switch and end services; returns why it failed, and everything is as before then."""
        before = {name: service.wanted for name, service in self.services.items()}
        for each in wanted:
            try:
                self._bring_one(each, models[each.name])
            except PlimsollError as error:
                self._restore(before)
                return f"{each.name} with {each.model}: {error.on_one_line()}"
        for name in before.keys() - {each.name for each in wanted}:
            self.services.pop(name).stop()
        return ""

    def _bring_one(self, wanted: WantedService, model: ModelFile) -> None:
        service = self.services.get(wanted.name)
        if service is None:
            service = DeviceService(self._disk, self._warden, wanted)
            service.start(model)
            self.services[wanted.name] = service
        elif service.wanted != wanted:
            service.switch(wanted, model)
        service.listen(self._device, self._say)

    def _restore(self, before: dict[str, WantedService]) -> None:
        for name in list(self.services):
            if name not in before:
                self.services.pop(name).stop()
        for wanted in before.values():
            try:
                self._bring_one(wanted, self._on_disk(wanted))
            except PlimsollError as error:
                self._tell(f"{wanted.name} with {wanted.model}: {error.on_one_line()}")

    def _take_back(self, release: int, problem: str) -> None:
        self._keep(replace(self.applied, failed=release, problem=problem))
        self._say(f"took release {release} back: {problem}")

    def _on_disk(self, wanted: WantedService) -> ModelFile:
        """The model of a service, verified against the owner's key. Raises ModelRefused."""
        directory = self._disk.model(wanted.reference)
        digest = parse_reference(wanted.reference).digest
        found = check_directory(directory, self._disk.owner, digest)
        files = {name: entry.digest for name, entry in found.version.files.items()}
        return model_file_at(directory, wanted.model, digest, files)

    def _keep(self, applied: Applied) -> None:
        self._disk.apply(applied)
        self.applied = applied

    def _sweep(self) -> None:
        self._disk.sweep(frozenset(self._disk.model(each.reference) for each in self.applied.services))
