"""One service that the keeper keeps up: its server is started, watched, and started again when it ends."""

from __future__ import annotations

import queue
import signal
import threading
import time
import traceback
import urllib.parse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.files import replace_file
from plimsoll.runtime.server.identities.settings import in_directory
from plimsoll.runtime.server.service_file import ServiceFile, read_service_file
from plimsoll.runtime.server.tls.settings import in_directory as tls_in_directory
from plimsoll.state.logs import last_log_line
from plimsoll.targets.local.commands import base_environment
from plimsoll.targets.local.keeper.records import FAILED, STARTING, UP, KeeperPlace, ServiceState, WantedService
from plimsoll.targets.local.ports import PORT_HINT, address_problem
from plimsoll.targets.local.servers import (
    KEEPER,
    OWN_CODE_LIMIT,
    READY_LIMIT,
    Server,
    announce,
    changes_of,
    service_of,
    start_server,
    withdraw,
)
from plimsoll.targets.local.warden import ProcessEnd, Warden
from plimsoll.targets.local.watching import (
    REFERENCE_TIMEOUT,
    newest_reference,
    observer_options,
    reference_command,
    reference_files,
)
from plimsoll.targets.models import model_registry
from plimsoll.targets.services import without_version

if TYPE_CHECKING:
    from plimsoll.registry.models import ModelRegistry

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
"""Seconds between two starts of a server that does not stay up: doubled each time."""
STEADY = 60.0
"""Seconds after which a server counts as one that stays up."""
PORT_PATIENCE = 3.0
"""Seconds for which the port that a service had before is waited for; then it gets another, where it may."""
TICK = 0.1


class ServiceKeeper:
    """Keeps one service up on a thread of its own. `tell` gets its state whenever that changes."""

    def __init__(
        self, place: KeeperPlace, warden: Warden, wanted: WantedService, tell: Callable[[str, ServiceState], None]
    ) -> None:
        self.wanted = wanted
        self.name = wanted.work.service
        self._place = place
        self._warden = warden
        self._tell = tell
        self._port = wanted.work.port or place.former_port(self.name)
        self._starts = 0
        self._note = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"keep-{self.name}", daemon=True)

    def begin(self) -> None:
        """Start the service; returns at once."""
        self._state(STARTING)
        self._thread.start()

    def ask_to_end(self) -> None:
        """Have the server answer what is under way and end."""
        self._stopping.set()

    def join(self) -> None:
        """Wait until the server has ended."""
        self._thread.join()

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            reason = self._once()
            if self._stopping.is_set():
                return
            self._state(FAILED, reason=reason)
            pause = FIRST_PAUSE if time.monotonic() - began > STEADY else min(LONGEST_PAUSE, 2 * pause)
            self._stopping.wait(pause)

    def _once(self) -> str:
        """Start the server and watch it until it ends, or is to end; returns why it is not up any more."""
        try:
            server, service = self._start()
        except PlimsollError as error:
            return error.on_one_line()
        except OSError as error:
            return f"{error.filename or self._place.root}: {error.strerror or error}"
        except Exception as error:  # noqa: BLE001 - a defect in one service must neither hide it nor end the others
            traceback.print_exc()
            return f"this is a defect of plimsoll ({error!r}); its trace is in {self._place.log}"
        try:
            self._announce(server, service)
            self._state(UP, url=server.url, reason=self._note)
            end = self._until_end(server)
        finally:
            withdraw(self._place.state, self.name)
        if end is None:
            server.stop()
            return ""
        said = last_log_line(server.log) if end.signal is None and not end.lost else ""
        return f"its server {end.description()}{': ' + said if said else ''}"

    def _start(self) -> tuple[Server, ServiceFile]:
        """A server that has answered a request. Raises PlimsollError, OSError."""
        place, work = self._place, self.wanted.work
        registry = model_registry(place.state)
        service = self._without_blocked(registry, read_service_file(place.service_file(self.name)))
        # Code of the user's own that answers without a model has no version.
        versions = [registry.find(f"{file.name}@{file.version}") for file in service.models if work.model]
        port = self._free_port()
        log = place.server_log(self.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        directory = place.servers / self.name
        directory.mkdir(parents=True, exist_ok=True)
        self._starts += 1
        server = start_server(
            self._warden,
            None,
            directory=directory,
            log=log,
            threads=max(1, int(self.wanted.cores)),
            scale=work.scale,
            observers=observer_options(place.state, work, versions, service, self._references(service)),
            service_file=place.service_file(self.name),
            token_file=place.state.token_file(self.name),
            changes=changes_of(place.state, work.searched),
            auth=in_directory(work.auth, place.state.application.absolute()) if work.auth else None,
            tls=tls_in_directory(work.tls, place.state.application.absolute()) if work.tls else None,
            hosts=work.hosts,
            host=work.host,
            port=port,
        )
        try:
            self._prove(server, service.models[0].name)
        except BaseException:  # also a stop of the keeper leaves no server behind
            server.process.send(signal.SIGKILL)
            raise
        self._port = urllib.parse.urlsplit(server.url).port or 0
        return server, service

    def _without_blocked(self, registry: ModelRegistry, service: ServiceFile) -> ServiceFile:
        """The service file without versions that went into quarantine while the service was down.

        Raises ModelRefused when such a version leads it: nobody but a person says which one is to take its place.
        """
        for file in service.models if self.wanted.work.model else ():
            version = registry.find(f"{file.name}@{file.version}")
            if registry.blocked.of(version) is None:
                continue
            shares = service.traffic.get(file.name, ())
            alone = all(each.name != file.name or each.version == file.version for each in service.models)
            if alone or any(each.version == file.version and each.weight for each in shares) or not shares:
                registry.require_servable(version)
            service = without_version(service, file.name, file.version)
            replace_file(self._place.service_file(self.name), msgspec.json.encode(service))
        return service

    def _prove(self, server: Server, model: str) -> None:
        """Wait until the server has answered a request. Raises PlimsollError."""
        work = self.wanted.work
        limit = OWN_CODE_LIMIT if work.starts_processes else READY_LIMIT
        if problem := server.wait_until_ready(self._stopping.is_set, limit):
            raise TargetError(problem, where=str(server.log))
        server.prove(work, model)

    def _free_port(self) -> int:
        """The port of the file, or the one of before; 0 for any. Raises TargetError for one that another has."""
        work = self.wanted.work
        deadline = time.monotonic() + PORT_PATIENCE
        # A server that was killed has its port for a moment longer.
        while (problem := address_problem(work.host, self._port)) and not self._stopping.wait(TICK):
            if time.monotonic() > deadline:
                break
        if problem and work.port:
            raise TargetError(problem, where=f"service {self.name}", hint=PORT_HINT)
        return 0 if problem else self._port

    def _references(self, service: ServiceFile) -> dict[str, Path]:
        """The drift references that there are; what cannot be made is noted, as requests matter more than drift."""
        state, work = self._place.state, self.wanted.work
        wanted = reference_files(state, work, service)
        self._note = ""
        for file in service.models:
            path = wanted.get(file.digest)
            if path is None or path.exists() or newest_reference(state, file.digest).exists():
                continue
            try:
                problem = self._run(reference_command(state, work, file, path))
            except PlimsollError as error:
                problem = error.on_one_line()
            if problem:
                self._note = f"the drift of {file.name}@{file.version} is not watched: {problem}"
        # One of an earlier table is better than none.
        newest = {digest: newest_reference(state, digest) for digest in wanted}
        found = {digest: path if path.exists() else newest[digest].resolve() for digest, path in wanted.items()}
        return {digest: path for digest, path in found.items() if path.exists()}

    def _run(self, argv: Sequence[str]) -> str:
        """Run a command to its end; returns why it failed, or an empty text."""
        directory, log = self._place.servers / self.name, self._place.server_log(self.name)
        mark = str(directory / "reference")
        ends: queue.Queue[ProcessEnd] = queue.Queue()
        environment = {**base_environment(None), "PLIMSOLL_OUTPUT": mark}
        process = self._warden.spawn(
            argv, environment=environment, directory=directory, log=log, mark=mark, on_end=ends.put
        )
        deadline = time.monotonic() + REFERENCE_TIMEOUT
        while time.monotonic() < deadline and not self._stopping.is_set():
            try:
                end = ends.get(timeout=TICK)
            except queue.Empty:
                continue
            return "" if end.succeeded else f"{end.description()}: {last_log_line(log)}"
        process.send(signal.SIGKILL)
        return "stopped" if self._stopping.is_set() else f"did not end within {REFERENCE_TIMEOUT:g} s"

    def _announce(self, server: Server, service: ServiceFile) -> None:
        model = service.models[0].name
        shares = service.traffic.get(model, ())
        leading = max(shares, key=lambda share: share.weight).version if shares else service.models[0].version
        announce(self._place.state, service_of(server, self.name, model=model, version=leading, run=KEEPER))

    def _until_end(self, server: Server) -> ProcessEnd | None:
        """How the server ended; `None` when it is to be ended."""
        while not self._stopping.is_set():
            try:
                return server.ends.get(timeout=TICK)
            except queue.Empty:
                continue
        return None

    def _state(self, state: str, *, url: str = "", reason: str = "") -> None:
        told = ServiceState(state=state, url=url, reason=reason, settings=self.wanted.settings, starts=self._starts)
        self._tell(self.name, told)
