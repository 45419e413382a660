"""The owner's file of a group: devices, invitations, the last state, its rollout. It is replaced as a whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.edge.documents import Fleet
from plimsoll.errors import FileError, TargetError
from plimsoll.files import replace_file
from plimsoll.locks import locked_file

LOCK_LIMIT = 30.0
DIRECTORY = "edge"


def groups_in(root: Path) -> list[Path]:
    """The files of groups in a state directory, those of their drift among them."""
    return sorted((root / DIRECTORY).glob("*.json"))


class FleetFile:
    """`edge/<group>.json` of the state directory. It has the secrets of tokens, so only the owner may read it."""

    def __init__(self, root: Path, group: str) -> None:
        self.group = group
        self._path = root / DIRECTORY / f"{group}.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands of this group out for the block. Raises TargetError after 30 s."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with locked_file(self._path.with_suffix(".lock"), limit=LOCK_LIMIT) as locked:
                if not locked:
                    text = f"another command has changed the group {self.group} for {LOCK_LIMIT:g} s"
                    raise TargetError(text, where=str(self._path), hint="wait for it, or end it")
                yield
        except OSError as error:
            raise TargetError(f"the group's file cannot be written: {error.strerror}", where=str(self._path)) from error

    def read(self) -> Fleet:
        """The group; an empty one before its first device."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Fleet)
        except FileNotFoundError:
            return Fleet(group=self.group)
        except (*UNREADABLE, OSError) as error:
            raise FileError(f"the group's file cannot be read: {error}", where=str(self._path)) from error

    def write(self, fleet: Fleet) -> None:
        """Replace the file."""
        replace_file(self._path, msgspec.json.encode(fleet))
        self._path.chmod(0o600)
