"""Where the plain files of a vault are while they are used: a private directory in memory, or one that the file names.

<workspace>/plimsoll-<user id>/<digest of the state directory's path>/
  vault            the id of the vault whose files these are; written when all of them are there
  state/           the files
  waiting/<any>    one for each process that waits until what it has written is sealed

The path is the same each time: files of results may name each other by it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from pathlib import Path

from plimsoll.errors import TargetError

MEMORY = Path("/dev/shm")  # noqa: S108 - what is below is made with mode 0700, and looked at before it is used
_OWNER_ALONE = 0o700


class PlainPlace:
    """The directory of the plain files of a state directory."""

    def __init__(self, state: Path, workspace: str = "") -> None:
        self.base = (Path(workspace) if workspace else MEMORY) / f"plimsoll-{os.getuid()}"
        self.directory = self.base / hashlib.sha256(os.fsencode(os.path.realpath(state))).hexdigest()[:16]
        self.state = self.directory / "state"
        self.waiting = self.directory / "waiting"
        self._mark = self.directory / "vault"

    def holds(self, vault: str) -> bool:
        """Whether all plain files of a vault are there, in a directory of this user's."""
        try:
            return (
                self.base.lstat().st_uid == os.getuid()
                and self._mark.read_text(encoding="ascii") == vault
                and self.state.is_dir()
            )
        except (OSError, UnicodeDecodeError):
            return False

    def make(self) -> None:
        """Make the directory, empty. Raises TargetError where it cannot be private, or is not in memory."""
        try:
            if self.base.exists():
                self._require_private(self.base)
                self.remove()
            self.base.mkdir(mode=_OWNER_ALONE, parents=True, exist_ok=True)
            self._require_private(self.base)
            for directory in (self.directory, self.state, self.waiting):
                directory.mkdir(mode=_OWNER_ALONE)
        except OSError as error:
            hint = "name a directory of yours for plain files: spec.encryption.workspace"
            raise TargetError(
                f"no private directory for plain files can be made: {error.strerror}", where=str(self.base), hint=hint
            ) from error

    def mark(self, vault: str) -> None:
        """Say that all plain files of a vault are there. Raises OSError."""
        self._mark.write_text(vault, encoding="ascii")

    def remove(self) -> None:
        """Delete the plain files. Raises OSError.

        They go under another name first: who still has the old one writes nowhere.
        """
        self._mark.unlink(missing_ok=True)
        for left in self.base.glob(f".{self.directory.name}.*"):
            _delete(left)
        if self.directory.exists():
            going = self.base / f".{self.directory.name}.{os.getpid()}"
            self.directory.rename(going)
            _delete(going)
        # Where others' vaults are there, it stays.
        with contextlib.suppress(OSError):
            self.base.rmdir()

    @staticmethod
    def _require_private(path: Path) -> None:
        about = os.lstat(path)
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
            raise TargetError(
                "the private directory is somebody else's", where=str(path), hint="remove it, as its owner"
            )
        if stat.S_IMODE(about.st_mode) != _OWNER_ALONE:
            path.chmod(_OWNER_ALONE)


def _delete(directory: Path) -> None:
    """Delete a directory, with those in it that a step has protected from writing. Raises OSError."""
    for parent, names, _ in os.walk(directory):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(_OWNER_ALONE)
    shutil.rmtree(directory)
