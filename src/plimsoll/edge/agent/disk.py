"""What an agent keeps on its disk. Each file is replaced as a whole, so that a cut of the power leaves a whole one."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.edge.documents import DesiredState, WantedService
from plimsoll.edge.key_statements import DeviceTrust
from plimsoll.edge.place import group_at
from plimsoll.edge.tokens import Token
from plimsoll.errors import FileError, TargetError
from plimsoll.files import flush, replace_file
from plimsoll.locks import locked_file
from plimsoll.signing.keys import KeyFiles, KeyRing

Kept = TypeVar("Kept")


class Identity(Struct, frozen=True, kw_only=True):
    """Who the device is: its name and group, the place of the group, and the secret until it was used."""

    device: str
    group: str
    place: str
    secret: str


class Followed(Struct, frozen=True, kw_only=True):
    """The place whose states the device takes, and the time of the state that led there: no clock is before it."""

    place: str
    since: datetime | None = None

    @property
    def group(self) -> str:
        """The group of the place."""
        return group_at(self.place)


class Applied(Struct, frozen=True, kw_only=True):
    """What the device serves, and what it has taken back: `failed` is a release, `problem` the reason.

    `former` is what it served before, until the present release has shown itself. `fetched` are the bytes that its
    models took. `group` is the group whose release it is; that of the enrolment when it is empty.
    """

    group: str = ""
    release: int = 0
    services: tuple[WantedService, ...] = ()
    former_release: int = 0
    former: tuple[WantedService, ...] | None = None
    failed: int = 0
    problem: str = ""
    fetched: int = 0


class AgentDisk:
    """A directory with the device's identity, keys, newest state, applied release and models."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.keys = KeyRing(root / "keys", logged=False)
        self.owner = KeyFiles(root / "owner")
        self.trust = DeviceTrust(root / "owner")
        self.models = root / "models"
        self.services = root / "services"

    def enrol(self, token: Token) -> Identity:
        """Keep who the device is; the identity comes last, so that a half enrolment begins anew.

        Raises FileError when the directory belongs to another device.
        """
        known = self.identity()
        if known is not None:
            if (known.device, known.group, known.place) != (token.device, token.group, token.place):
                raise FileError(
                    f"the directory belongs to {known.device} of {known.group}",
                    where=str(self.root),
                    hint="leave out --token, or name another directory with --directory",
                )
            return known
        identity = Identity(device=token.device, group=token.group, place=token.place, secret=token.secret)
        try:
            for directory in (self.root, self.owner.path, self.models, self.services):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.keys.signer()
            replace_file(self.owner.path / f"{token.owner}.json", msgspec.json.encode(token.owner_key))
            replace_file(self.root / "identity.json", msgspec.json.encode(identity))
            flush(self.root)
        except OSError as error:
            raise TargetError(
                f"the agent's directory cannot be written: {error.strerror}", where=str(self.root)
            ) from error
        return identity

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second agent out of the directory. Raises TargetError when one runs."""
        with locked_file(self.root / "lock") as locked:
            if not locked:
                raise TargetError("an agent runs in this directory already", where=str(self.root))
            yield

    def identity(self) -> Identity | None:
        """Who the device is; None before it was enrolled."""
        return self._read("identity.json", Identity)

    def followed(self, identity: Identity) -> Followed:
        """The place whose states the device takes: that of its enrolment until a state leads elsewhere."""
        return self._read("followed.json", Followed) or Followed(place=identity.place)

    def follow(self, followed: Followed) -> None:
        """Keep the place whose states the device takes from now on."""
        replace_file(self.root / "followed.json", msgspec.json.encode(followed))

    def state(self, group: str) -> DesiredState | None:
        """The newest state of a group that was taken."""
        return self._read(self._state_name(group), DesiredState)

    def take(self, state: DesiredState) -> None:
        """Keep a state that was verified: nothing older of its group is taken after this."""
        replace_file(self.root / self._state_name(state.group), msgspec.json.encode(state))

    def _state_name(self, group: str) -> str:
        identity = self.identity()
        return "state.json" if identity is None or identity.group == group else f"state-{group}.json"

    def applied(self) -> Applied:
        """What the device serves."""
        return self._read("applied.json", Applied) or Applied()

    def apply(self, applied: Applied) -> None:
        """Keep what the device serves from now on."""
        replace_file(self.root / "applied.json", msgspec.json.encode(applied))

    def next_number(self) -> int:
        """The number of the next report; no number is given twice."""
        number = (self._read("report.json", int) or 0) + 1
        replace_file(self.root / "report.json", msgspec.json.encode(number))
        return number

    def model(self, reference: str) -> Path:
        """The directory of a model, by the digest of its reference."""
        return self.models / reference.rpartition("sha256:")[2][:32]

    def sweep(self, wanted: frozenset[Path]) -> None:
        """Remove the models that no service needs any more, and what is left of their downloads."""
        for path in self.models.iterdir() if self.models.is_dir() else ():
            if path not in wanted and not path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)

    def free(self) -> int:
        """Free bytes of the disk."""
        return shutil.disk_usage(self.root).free

    def _read(self, name: str, kind: type[Kept]) -> Kept | None:
        path = self.root / name
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except (*UNREADABLE, OSError) as error:
            hint = "restore it, or remove the directory and enroll the device again"
            raise FileError(f"a file of the agent cannot be read: {error}", where=str(path), hint=hint) from error
