"""The use of a vault by a process: its plain files are there from the first use of a state directory to the exit.

Whether a state directory is a vault is seen by its header; one that is none costs a look at a file that is not there.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.vault.locking import SEALER, SETUP, USERS, noted_problem, opened_lock, try_lock
from plimsoll.waits import waiting_for

if TYPE_CHECKING:
    from plimsoll.vault.key_sources import KeySource

SEALED = "sealed"
HEADER = "header.json"
SETUP_LIMIT = 600.0
"""Seconds that a process waits for another one that opens or closes the vault: a large one takes its time."""
SEAL_LIMIT = 600.0
_LOOK = 0.02
_WATCH = 2.0
"""Seconds between two looks whether what is written is sealed."""


class Vault:
    """An open vault. `state` is the directory of its plain files."""

    def __init__(self, directory: Path, state: Path, waiting: Path, users: IO[bytes], source: KeySource) -> None:
        self.directory = directory
        self.state = state
        self._waiting = waiting
        self._users: IO[bytes] | None = users
        self.source = source
        self._closing = threading.Event()
        threading.Thread(target=self._watch, daemon=True, name="vault").start()

    @property
    def descriptor(self) -> int | None:
        """The lock by which the vault stays open, for processes that outlive this one."""
        return self._users.fileno() if self._users is not None else None

    @property
    def key_file(self) -> Path:
        """The file of the key, where it is in one: relative ones begin beside the state directory."""
        return self.directory.parent / Path(self.source.file).expanduser()

    def close(self) -> None:
        """Wait until all that was written is sealed, and let the vault close. Raises TargetError; twice is once."""
        if self._users is None:
            return
        self._closing.set()
        self._restart()
        self._users.close()
        self._users = None
        mark = self._waiting / os.urandom(8).hex()
        try:
            mark.touch()
        except OSError:
            return  # Somebody has closed it since: all of it is sealed.
        until = time.monotonic() + SEAL_LIMIT
        with waiting_for("what was written to be sealed"):
            while mark.exists():
                self._require_sealing(mark, until)
                time.sleep(_LOOK)

    def _watch(self) -> None:
        """Look now and then whether what is written is sealed."""
        while not self._closing.wait(_WATCH):
            # It is told when this process ends, and by every other command.
            with contextlib.suppress(PlimsollError, OSError):
                self._restart()

    def _restart(self) -> None:
        """Start the process again that seals, where it was killed: what it had not sealed would be in clear."""
        if is_held(self.directory):
            return
        from plimsoll.vault import header
        from plimsoll.vault.starting import start_sealer

        with setting_up(self.directory):
            if not is_held(self.directory):
                start_sealer(self.directory, header.read(self.directory), self.source)

    def _require_sealing(self, mark: Path, until: float) -> None:
        sealed = self.directory / SEALED
        hint = f"what was written is whole, in {self.state}; it is sealed when that can be done"
        with contextlib.suppress(FileNotFoundError):
            # One of before may be over: it is tried again for this process.
            if text := noted_problem(mark.parent.parent, sealed, since=mark.stat().st_mtime_ns):
                raise TargetError(f"what was written is not sealed yet: {text}", where=str(sealed), hint=hint)
        if time.monotonic() > until:
            raise TargetError(f"it was not sealed within {SEAL_LIMIT:g} s", where=str(sealed), hint=hint)
        # It may have sealed, closed and ended since.
        if not is_held(self.directory) and mark.exists():
            raise TargetError(
                "the process that seals what was written was killed",
                where=str(sealed),
                hint="run any command of this application, such as `plimsoll status`: it goes on sealing",
            )


_used: dict[Path, Vault] = {}
_lock = threading.Lock()


def key_variables() -> frozenset[str]:
    """The variables of the environment that have keys: nothing that is started for an application is given them."""
    return frozenset(vault.source.env for vault in _used.values() if vault.source.env)


def key_files() -> list[Path]:
    """The files that have keys."""
    return [vault.key_file for vault in _used.values() if vault.source.file]


def is_vault(directory: Path) -> bool:
    """Whether a state directory is a vault."""
    return (directory / SEALED / HEADER).exists()


def is_held(directory: Path) -> bool:
    """Whether a process holds the vault open."""
    with opened_lock(directory / SEALED / SEALER) as file:
        return not try_lock(file, fcntl.LOCK_SH)


def plain_state(directory: Path, source: KeySource | None = None) -> Path:
    """Where the files of a state directory are: itself, or the plain files of its vault, which is opened.

    Without a `source` the key is where the header says. Raises KeyProblem, SealedDamaged and TargetError.
    """
    if not is_vault(directory):
        return directory
    place = Path(os.path.realpath(directory))
    with _lock:
        if (vault := _used.get(place)) is None:
            if not _used:
                atexit.register(_close_at_exit)
            vault = _used[place] = _opened(place, source)
        return vault.state


def release() -> None:
    """Close what this process has opened, once it is sealed. Raises TargetError for what cannot be."""
    with _lock:
        vaults = list(_used.values())
        _used.clear()
    for vault in vaults:
        vault.close()


def descriptors() -> tuple[int, ...]:
    """Locks that a process inherits which goes on using the plain files after this one."""
    return tuple(vault.descriptor for vault in _used.values() if vault.descriptor is not None)


@contextlib.contextmanager
def setting_up(directory: Path) -> Iterator[None]:
    """Nobody else opens or closes the vault meanwhile. Raises TargetError when that does not come about."""
    until = time.monotonic() + SETUP_LIMIT
    with opened_lock(directory / SEALED / SETUP) as setup, waiting_for("the state to be opened or sealed by another"):
        while not try_lock(setup, fcntl.LOCK_EX):
            if time.monotonic() > until:
                raise TargetError(
                    f"another process has been opening or sealing the state for {SETUP_LIMIT:g} s",
                    where=str(directory / SEALED),
                    hint="wait for it, and try again",
                )
            time.sleep(_LOOK)
        yield


def _opened(directory: Path, source: KeySource | None) -> Vault:
    from plimsoll.vault import header
    from plimsoll.vault.adopting import remove_plain
    from plimsoll.vault.places import PlainPlace

    with setting_up(directory):
        about = header.read(directory)
        remove_plain(directory)
        place = PlainPlace(directory, about.workspace)
        with contextlib.ExitStack() as failing:
            users = failing.enter_context(opened_lock(directory / SEALED / USERS))
            try_lock(users, fcntl.LOCK_SH)
            if not is_held(directory):
                from plimsoll.vault.starting import start_sealer

                start_sealer(directory, about, source)
            elif not place.holds(about.vault):
                raise TargetError(
                    "the state is open on another machine, or its plain files were deleted",
                    where=str(directory / SEALED),
                    hint="end what runs there (plimsoll down), or wait until it has ended",
                )
            failing.pop_all()
        return Vault(directory, place.state, place.waiting, users, source or about.by)


def _close_at_exit() -> None:
    try:
        release()
    except TargetError as error:
        sys.stderr.write(f"error: {error}\n")
    except KeyboardInterrupt:
        # A second Ctrl-C: the sealer goes on, and this process need not wait for it.
        return
