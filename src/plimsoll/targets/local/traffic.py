"""Moves the traffic of a service of this machine: writes the weights into the file that its server reads."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from plimsoll.errors import PlimsollError, RequestError, TargetError
from plimsoll.runtime import client
from plimsoll.runtime.server.service_file import ServiceFile, read_service_file
from plimsoll.runtime.server.traffic import Share
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.local.own_code import version_file
from plimsoll.targets.local.promotion_record import PromotionRecord
from plimsoll.targets.local.servers import RunningService, announce, running_services
from plimsoll.targets.local.watching import watch_versions
from plimsoll.targets.models import version_for_use
from plimsoll.targets.services import shares_sentence, without_version
from plimsoll.telemetry.version_counts import VersionCounts, counts_at
from plimsoll.waits import waiting_for

POLL_INTERVAL = 0.5
"""Seconds between two checks whether a version is loaded."""
LOAD_LIMIT = 120.0
"""Seconds that the service has to load the new version."""


def find_local_traffic(
    state: StateDirectory, model: str | None, service: str | None, stopped: Callable[[], bool]
) -> LocalTraffic:
    """The running service of a model. Raises PlimsollError without one, and for several when `service` is None."""
    up = running_services(state)
    candidates = {each.name: each for each in up.values() if model in (None, each.model) and each.service_file}
    if service is not None:
        candidates = {key: each for key, each in candidates.items() if key == service}
    if not candidates:
        of_model = f" of model {model}" if model else ""
        named = f" by the name {service}" if service else ""
        raise PlimsollError(f"no service{of_model} is running{named}", hint="start it with plimsoll up")
    if len(candidates) > 1:
        raise PlimsollError(
            f"several services use model {model}", hint=f"choose one with --service: {', '.join(candidates)}"
        )
    return LocalTraffic(state, next(iter(candidates.values())), stopped)


def share_notes(state: StateDirectory, service: str) -> Sequence[str]:
    """The versions that a running service's requests go to, in one sentence; none for one that is not running."""
    up = running_services(state).get(service)
    if up is None or not up.service_file:
        return ()
    try:
        content = read_service_file(Path(up.service_file))
    except TargetError:
        return ()
    return (shares_sentence(content, up.model),)


def promotion_notes(state: StateDirectory, service: str) -> Sequence[str]:
    """A note about a running or interrupted promotion into a running service."""
    up = running_services(state).get(service)
    if up is None or not up.service_file:
        return ()
    note = PromotionRecord(Path(up.service_file)).note()
    return (note,) if note else ()


class LocalTraffic:
    """One running service. Each change of its file is recorded first, so that a killed promotion can be undone."""

    def __init__(self, state: StateDirectory, up: RunningService, stopped: Callable[[], bool]) -> None:
        self._state = state
        self._stopped = stopped
        self._up = up
        self._record = PromotionRecord(Path(up.service_file))
        self._content = read_service_file(self._record.file)
        self._before = b""
        self._changed = False

    @property
    def service(self) -> str:
        """The service's name."""
        return self._up.name

    @property
    def model(self) -> str:
        """The name of its model."""
        return self._up.model

    @property
    def where(self) -> str:
        """The service's address."""
        return self._up.url

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[bool]:
        """Hold a lock on a file next to the service file; restore the file of an interrupted promotion first."""
        with self._record.exclusive():
            undone = (before := self._record.interrupted_content()) is not None
            if before is not None:
                self._write_bytes(before)
            self._record.end()
            self._before = self._record.file.read_bytes()
            self._content = read_service_file(self._record.file)
            try:
                yield undone
            finally:
                # What could not be restored stays on record, for the next promotion.
                if not self._changed:
                    self._record.end()

    def leading(self) -> str:
        """The version with the largest share; the newest version in a service without shares."""
        shares = self._content.traffic.get(self._up.model, ())
        if shares:
            return max(shares, key=lambda share: share.weight).version
        return max((file.version for file in self._content.models if file.name == self._up.model), key=int)

    def former(self) -> str | None:
        """The version before the last promotion, as the service file has it."""
        return self._content.former.get(self._up.model)

    def add(self, old: str, new: str) -> None:
        """Add the new version to the service file, and wait until the server has loaded it."""
        version, files = version_for_use(self._state, f"{self._up.model}@{new}", None)
        # What answers for a version now answers for the next one: an ONNX model by itself, or the user's code.
        code = next((each.code for each in self._content.models if each.name == self._up.model), None)
        known = [each for each in self._content.models if (each.name, each.version) != (self._up.model, new)]
        self._record.begin()
        self._changed = True
        self._content = replace(self._content, models=(*known, version_file(version, files, code)))
        self.weigh(old, new, 0)
        deadline = time.monotonic() + LOAD_LIMIT
        with waiting_for(f"service {self._up.name} to load {self._up.model}@{new}"):
            self._wake()
            while not self.counts((old, new))[new].loaded and not self._stopped():
                if time.monotonic() > deadline:
                    raise TargetError(
                        f"the service did not load {self._up.model}@{new} within {LOAD_LIMIT:g} s",
                        where=self._up.url,
                        hint=f"read its log with plimsoll logs {self._up.name}",
                    )
                time.sleep(POLL_INTERVAL)

    def _calling(self) -> contextlib.AbstractContextManager[None]:
        """Call as who owns the service, where it asks its callers."""
        return client.calling_as(self._state.token(self._up.name), certificate=self._up.certificate)

    def _wake(self) -> None:
        """Have a service that scales to zero start a server, which alone can load a version."""
        with contextlib.suppress(RequestError), self._calling():
            client.metadata(self._up.url, self._up.model)

    def weigh(self, old: str, new: str, weight: int) -> None:
        """Write the weights; other versions keep their headers and shadows but get no weight."""
        shares = (Share(version=old, weight=100 - weight), Share(version=new, weight=weight))
        others = [each for each in self._content.traffic.get(self._up.model, ()) if each.version not in (old, new)]
        kept = [replace(each, weight=0) for each in others if each.headers or each.shadow]
        traffic = {**self._content.traffic, self._up.model: (*shares, *kept)}
        self._write(replace(self._content, traffic=traffic))

    def counts(self, versions: tuple[str, str]) -> Mapping[str, VersionCounts]:
        """The counters on the server's metrics page."""
        found = self._counted()
        return {version: found.get(version, VersionCounts()) for version in versions}

    def all_counts(self) -> Mapping[str, VersionCounts]:
        """The counters on the server's metrics page."""
        return self._counted()

    def _counted(self) -> Mapping[str, VersionCounts]:
        with self._calling():
            return counts_at(self._up.url, self._up.model)

    def settle(self, old: str, new: str) -> None:
        """Announce the new version as the service's."""
        # What is neither in service nor the way back, nor has requests by header or copy, need not stay in memory.
        kept = {old, new, *(share.version for share in self._content.traffic.get(self._up.model, ()))}
        models = tuple(file for file in self._content.models if file.name != self._up.model or file.version in kept)
        former = {**self._content.former, self._up.model: old}
        self._write(replace(self._content, models=models, former=former))
        announce(self._state, replace(self._up, version=int(new)))
        self._changed = False

    def expel(self, version: str) -> None:
        """Take a version out of the service file; the largest share gets what it had."""
        self._write(without_version(self._content, self._up.model, version))

    def restore(self) -> None:
        """Write the file of before; a server that has ended has no weights to restore."""
        if not self._changed:
            return
        with contextlib.suppress(TargetError):
            self._write_bytes(self._before)
        self._changed = False

    def _write(self, content: ServiceFile) -> None:
        self._content = content
        self._write_bytes(msgspec.json.encode(content))

    def _write_bytes(self, content: bytes) -> None:
        self._record.write(content)
        with contextlib.suppress(PlimsollError):
            # Drift that is not watched is no reason to leave the requests where they are.
            watch_versions(self._state, self._up.name, read_service_file(self._record.file).models)
        try:
            os.kill(self._up.pid, signal.SIGHUP)
        except ProcessLookupError as error:
            message = f"service {self._up.name} has ended"
            raise TargetError(message, where=self._up.url, hint="see plimsoll status") from error
