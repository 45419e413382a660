"""What lies on disk of an application's keeper.

.plimsoll/keeper/
  lock                 held by the keeper as long as it lives
  keeper.json          who it is, and how each of its services is
  wanted/<service>.json  a service that it is to keep up; it looks for changes
  released/<service>.json  the same of one that was ended: the next `plimsoll up` goes on from it
  servers/<service>/   the ready file of a running server
  keeper.log           what it has to say
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.files import replace_file
from plimsoll.kinds.serve import Rollout, Serve
from plimsoll.state.directory import StateDirectory
from plimsoll.state.logs import KEPT_LOG
from plimsoll.targets.local.process_identity import boot_id, identity, lives

STARTING, UP, FAILED = "starting", "up", "failed"


@decodable
class WantedService(Struct, frozen=True, kw_only=True):
    """A service to keep up. `work` names versions by number; `asked` is the digest of the versions that the file names.

    `settings` is the digest of all that needs a new server when it changes. `follows` and `rollout` are as in the file.
    """

    work: Serve
    cores: float = 1.0
    asked: str = ""
    settings: str = ""
    follows: str = ""
    rollout: Rollout = "accepted"


class ServiceState(Struct, frozen=True, kw_only=True):
    """How a kept service is: `starting`, `up` or `failed`, with the reason. `settings` is as in its wanted service."""

    state: str = STARTING
    url: str = ""
    reason: str = ""
    settings: str = ""
    starts: int = 0


@decodable
class KeeperRecord(Struct, frozen=True, kw_only=True):
    """The keeper's own account of itself. `identity` tells its process from another of the same number.

    `ended` is why it has ended, where it could say so.
    """

    pid: int
    identity: str
    since: datetime
    services: Mapping[str, ServiceState] = {}
    ended: str = ""


@decodable
class _Ready(Struct, frozen=True, kw_only=True):
    """What a server writes when it is ready."""

    url: str


class KeeperPlace:
    """The paths of a keeper, and what is in them."""

    def __init__(self, state: StateDirectory) -> None:
        self.state = state
        self.root = state.root / "keeper"
        self.lock = self.root / "lock"
        self.record = self.root / "keeper.json"
        self.log = self.root / "keeper.log"
        self.servers = self.root / "servers"
        self._wanted = self.root / "wanted"
        self._released = self.root / "released"

    def make(self) -> None:
        """Create the directories."""
        for directory in (self.servers, self._wanted, self._released):
            directory.mkdir(parents=True, exist_ok=True)

    def wanted(self) -> dict[str, WantedService]:
        """The services to keep up, by name; one that cannot be read is left out."""
        found = {}
        for path in sorted(self._wanted.glob("*.json")):
            with contextlib.suppress(*UNREADABLE, OSError):
                found[path.stem] = msgspec.json.decode(path.read_bytes(), type=WantedService)
        return found

    def last_wanted(self, name: str) -> WantedService | None:
        """A service as it is to be kept up, or was until it was ended; `None` for one that never was."""
        for place in (self._wanted, self._released):
            with contextlib.suppress(*UNREADABLE, OSError):
                return msgspec.json.decode((place / f"{name}.json").read_bytes(), type=WantedService)
        return None

    def wanted_names(self) -> list[str]:
        """The names of all services to keep up, also of those whose record cannot be read."""
        return sorted(path.stem for path in self._wanted.glob("*.json"))

    def want(self, service: WantedService) -> None:
        """Have a service kept up."""
        replace_file(self._wanted / f"{service.work.service}.json", msgspec.json.encode(service))
        (self._released / f"{service.work.service}.json").unlink(missing_ok=True)

    def unwant(self, name: str) -> None:
        """Have a service no longer kept up; what it was is kept for the next time."""
        self._released.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (self._wanted / f"{name}.json").replace(self._released / f"{name}.json")

    def service_file(self, name: str) -> Path:
        """The versions of a service and their shares; promotions change it."""
        return self.state.services / name / "service.json"

    def former_port(self, name: str) -> int:
        """The port that a service had when it was last ready; 0 when it never was."""
        try:
            url = msgspec.json.decode((self.servers / name / "ready.json").read_bytes(), type=_Ready).url
            return urllib.parse.urlsplit(url).port or 0
        except (*UNREADABLE, OSError, ValueError):
            return 0

    def server_log(self, name: str) -> Path:
        """What the server of a service prints."""
        return self.state.service_logs / name / KEPT_LOG

    def read(self) -> KeeperRecord | None:
        """The last keeper's record, whether it lives or not; `None` without one."""
        try:
            return msgspec.json.decode(self.record.read_bytes(), type=KeeperRecord)
        except (*UNREADABLE, OSError):
            return None

    def living(self) -> KeeperRecord | None:
        """The record of a keeper that lives: it holds the lock, and its process is the one that wrote the record."""
        if not self.is_held():
            return None
        record = self.read()
        return record if record is not None and lives(record.pid, record.identity) else None

    def is_held(self) -> bool:
        """Whether some process holds the keeper's lock."""
        try:
            with self.lock.open("rb") as file:
                return not _locked(file, fcntl.LOCK_SH)
        except OSError:
            return False

    def death(self) -> str:
        """Why the keeper of services that are still wanted is not there, in words; empty when it lives or none is."""
        if not self.wanted() or self.is_held():
            return ""
        record = self.read()
        if record is None:
            return "the keeper has never begun"
        when = f"the keeper (process {record.pid}, since {record.since:%Y-%m-%d %H:%M:%S} UTC)"
        if record.ended:
            return f"{when} has ended: {record.ended}"
        if boot_id() and not record.identity.startswith(boot_id()):
            return f"{when} ended when this machine was restarted"
        return f"{when} ended without a word: it was killed"


class KeeperLock:
    """The lock that the keeper holds as long as it lives."""

    def __init__(self, place: KeeperPlace) -> None:
        self._path = place.lock
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Take the lock; false when another keeper has it."""
        file = self._path.open("a+b")
        if not _locked(file, fcntl.LOCK_EX):
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._file:
            self._file.close()
            self._file = None


def own_record(services: Mapping[str, ServiceState], since: datetime | None = None, ended: str = "") -> KeeperRecord:
    """The record of this process as a keeper."""
    pid = os.getpid()
    return KeeperRecord(
        pid=pid, identity=identity(pid), since=since or datetime.now(UTC), services=dict(services), ended=ended
    )


def _locked(file: IO[bytes], how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
