"""The loop of a device: sync, take what is newer and right, prove it, and serve whatever happens to the link."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec.structs import replace

from plimsoll.edge.acceptance import refusal, wanted_of
from plimsoll.edge.agent.disk import AgentDisk, Applied, Identity
from plimsoll.edge.agent.log_sender import LogSender
from plimsoll.edge.agent.serving import DeviceService, model_file_at
from plimsoll.edge.agent.spool import LOGS
from plimsoll.edge.agent.surroundings import temperature
from plimsoll.edge.documents import REPORT, REQUEST, STATE, DesiredState, DeviceReport, EnrolmentRequest, WantedService
from plimsoll.edge.envelopes import seal, unseal
from plimsoll.edge.place import STATE_TAG, EdgePlace, report_tag, request_tag
from plimsoll.edge.tokens import proof
from plimsoll.errors import PlimsollError
from plimsoll.registry.references import parse_reference
from plimsoll.registry.repository import Repository
from plimsoll.registry.transfer import pull_files
from plimsoll.registry.verification import check_directory
from plimsoll.runtime.server.service_file import ModelFile
from plimsoll.targets.local.warden import Warden

FIRST_SYNC = 5.0
"""Seconds between syncs before a state says how many."""
TICK = 0.5
SETTLED = 30.0
"""Seconds after which a new release has shown itself; before, a server that ends or fails takes it back."""
MOST_ERRORS = 0.1
"""Share of the requests since a switch that may fail with the server's fault."""


class Agent:
    """One device. `say` gets a line for each thing that happens."""

    def __init__(self, disk: AgentDisk, identity: Identity, say: Callable[[str], None]) -> None:
        self._disk = disk
        self._identity = identity
        self._say = say
        self._place = EdgePlace(parse_reference(identity.place))
        self._logs = LogSender(disk, identity)
        self._warden = Warden()
        self._services: dict[str, DeviceService] = {}
        self._state = disk.state()
        self._applied = disk.applied()
        self._switched = time.monotonic() if self._applied.former is not None else None
        self._restarts: dict[str, int] = {}
        self._problem = ""
        self._asked = False
        self._key_id = str(disk.keys.signer().public_key.keyid)

    def run(self, stopped: Callable[[], bool]) -> None:
        """Serve until `stopped`; what was served before the agent's last end is served first, without a link."""
        self._resume()
        due = time.monotonic()
        try:
            while not stopped():
                if time.monotonic() >= due:
                    self.sync()
                    due = time.monotonic() + (self._state.sync if self._state else FIRST_SYNC)
                self._watch()
                time.sleep(TICK)
        finally:
            for service in self._services.values():
                service.stop()
            self._place.close()
            self._logs.close()

    def sync(self) -> None:
        """Look for a newer state, follow it, and report. A link that is down changes nothing."""
        try:
            self._ask_to_be_taken_in()
            self._look_for_state()
        except PlimsollError as error:
            self._tell_problem(f"sync: {error.on_one_line()}")
        self._follow()
        try:
            self._logs.send()
        except PlimsollError as error:
            self._tell_problem(f"logs: {error.on_one_line()}")
        self._take_logs()
        try:
            self._report()
        except PlimsollError as error:
            self._tell_problem(f"report: {error.on_one_line()}")

    def _ask_to_be_taken_in(self) -> None:
        if self._asked:
            return
        identity = self._identity
        key = self._disk.keys.signer().public_key
        request = EnrolmentRequest(
            device=identity.device,
            key_id=str(key.keyid),
            key={"keyid": key.keyid, **key.to_dict()},
            proof=proof(identity.secret, str(key.keyid)),
        )
        about = f"{identity.group}/{identity.device}/request"
        self._place.write(request_tag(identity.device), seal(about, REQUEST, request, self._disk.keys))
        self._asked = True

    def _look_for_state(self) -> None:
        if not self._place.changed(STATE_TAG):
            return
        envelope = self._place.read(STATE_TAG)
        if envelope is None:
            return
        group = self._identity.group
        state, _ = unseal(envelope, f"{group}/state", STATE, DesiredState, self._disk.owner)
        if why := refusal(state, group, self._state, datetime.now(UTC)):
            self._tell_problem(f"refused: {why}")
            return
        if state != self._state:
            self._disk.take(state)
            self._state = state
            self._say(f"took the state {state.counter}")

    def _follow(self) -> None:
        """Bring the services to what the state wants. A release that cannot be proved is taken back, and stays so."""
        if self._state is None:
            return
        release, wanted = wanted_of(self._state, self._identity.device, self._key_id)
        applied = self._applied
        if (release, wanted) == (applied.release, applied.services) or (release and release == applied.failed):
            return
        try:
            models = {each.name: self._fetched(each) for each in wanted}
        except PlimsollError as error:
            # The link or the registry, most of the time: the next sync goes on where this one ended.
            self._tell_problem(f"release {release}: {error.on_one_line()}")
            return
        if problem := self._bring(wanted, models):
            self._take_back(release, problem)
            return
        former = applied.services if applied.release and wanted else None
        self._keep(Applied(release=release, services=wanted, former_release=applied.release, former=former))
        self._switched = time.monotonic() if former is not None else None
        self._problem = ""
        self._say(f"serves release {release}: {', '.join(f'{each.name} {each.model}' for each in wanted) or 'nothing'}")
        if former is None:
            self._sweep()

    def _bring(self, wanted: tuple[WantedService, ...], models: dict[str, ModelFile]) -> str:
        """Start, switch and end services; returns why it failed, and everything is as before then."""
        before = {name: service.wanted for name, service in self._services.items()}
        for each in wanted:
            try:
                self._bring_one(each, models[each.name])
            except PlimsollError as error:
                self._restore(before)
                return f"{each.name} with {each.model}: {error.on_one_line()}"
        for name in before.keys() - {each.name for each in wanted}:
            self._services.pop(name).stop()
        return ""

    def _bring_one(self, wanted: WantedService, model: ModelFile) -> None:
        service = self._services.get(wanted.name)
        if service is None:
            service = DeviceService(self._disk, self._warden, wanted)
            service.start(model)
            self._services[wanted.name] = service
        elif service.wanted != wanted:
            service.switch(wanted, model)
        service.listen(self._identity.device, self._say)

    def _restore(self, before: dict[str, WantedService]) -> None:
        for name in list(self._services):
            if name not in before:
                self._services.pop(name).stop()
        for wanted in before.values():
            try:
                self._bring_one(wanted, self._on_disk(wanted))
            except PlimsollError as error:
                self._tell_problem(f"{wanted.name} with {wanted.model}: {error.on_one_line()}")

    def _take_back(self, release: int, problem: str) -> None:
        self._keep(replace(self._applied, failed=release, problem=problem))
        self._say(f"took release {release} back: {problem}")

    def _watch(self) -> None:
        """Start a server that has ended; take a release back that does not show itself."""
        for name, service in self._services.items():
            if ended := service.ended():
                self._restarts[name] = self._restarts.get(name, 0) + 1
                if self._switched is not None and self._restarts[name] > 1:
                    self._back_to_former(f"{name}: {ended}")
                    return
                self._say(f"{name}: {ended}; it is started again")
                self._start_again(service)
        if self._switched is None or time.monotonic() - self._switched < SETTLED:
            return
        reports = [service.report() for service in self._services.values()]
        bad = next((each for each in reports if each.errors > MOST_ERRORS * max(1, each.requests)), None)
        if bad is not None:
            self._back_to_former(f"{bad.name}: {bad.errors} of {bad.requests} requests failed")
            return
        self._switched = None
        self._restarts.clear()
        self._keep(replace(self._applied, former_release=0, former=None))
        self._sweep()

    def _start_again(self, service: DeviceService) -> None:
        service.stop()
        try:
            service.start(self._on_disk(service.wanted))
        except PlimsollError as error:
            self._tell_problem(f"{service.wanted.name}: {error.on_one_line()}")

    def _back_to_former(self, problem: str) -> None:
        failed, former = self._applied.release, self._applied.former
        self._switched = None
        self._restarts.clear()
        if former is None:
            return
        self._restore({each.name: each for each in former})
        self._keep(Applied(release=self._applied.former_release, services=former, failed=failed, problem=problem))
        self._say(f"took release {failed} back: {problem}")

    def _resume(self) -> None:
        for wanted in self._applied.services:
            try:
                self._bring_one(wanted, self._on_disk(wanted))
            except PlimsollError as error:
                self._tell_problem(f"{wanted.name} with {wanted.model}: {error.on_one_line()}")
        if self._services:
            self._say(f"serves release {self._applied.release} from this disk")

    def _fetched(self, wanted: WantedService) -> ModelFile:
        """The verified model of a service, fetched unless it is here; a broken download goes on where it ended."""
        reference = parse_reference(wanted.reference)
        directory = self._disk.model(wanted.reference)
        if not directory.exists():
            with Repository(reference) as repository:
                pull_files(repository, reference.digest, self._disk.owner, directory)
        return self._on_disk(wanted)

    def _on_disk(self, wanted: WantedService) -> ModelFile:
        directory = self._disk.model(wanted.reference)
        digest = parse_reference(wanted.reference).digest
        found = check_directory(directory, self._disk.owner, digest)
        files = {name: entry.digest for name, entry in found.version.files.items()}
        return model_file_at(directory, wanted.model, digest, files)

    def _keep(self, applied: Applied) -> None:
        self._disk.apply(applied)
        self._applied = applied

    def _sweep(self) -> None:
        self._disk.sweep(frozenset(self._disk.model(each.reference) for each in self._applied.services))

    def _take_logs(self) -> None:
        for service in self._services.values():
            for name in LOGS:
                self._logs.spool.take(service.wanted.name, name, service.log(name))
        state = self._state
        if state is not None and (lost := self._logs.spool.bound(state.keep_bytes, state.keep)):
            self._say(f"dropped {lost} lines of logs: they had no room, or waited too long")

    def _report(self) -> None:
        identity = self._identity
        report = DeviceReport(
            device=identity.device,
            number=self._disk.next_number(),
            at=datetime.now(UTC),
            counter=self._state.counter if self._state else 0,
            release=self._applied.release,
            services=tuple(service.report() for service in self._services.values()),
            failed=self._applied.failed,
            problem=self._applied.problem or self._problem,
            logged=self._logs.sent,
            waiting=self._logs.waiting,
            dropped=self._logs.spool.dropped,
            disk=self._disk.free(),
            temperature=temperature(),
        )
        about = f"{identity.group}/{identity.device}/report"
        self._place.write(report_tag(identity.device), seal(about, REPORT, report, self._disk.keys))

    def _tell_problem(self, problem: str) -> None:
        """Say a problem once, not at every sync."""
        if problem != self._problem:
            self._problem = problem
            self._say(problem)


def say_to_stderr(line: str) -> None:
    """A line with the time, for the journal of the system."""
    sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")
    sys.stderr.flush()
