"""Changes a vault as a whole: another key for its data key, no encryption any more, or nothing left to be opened."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.files import flush
from plimsoll.vault import header, index
from plimsoll.vault.adopting import STAYS
from plimsoll.vault.key_sources import KeySource
from plimsoll.vault.locking import USERS, opened_lock, try_lock
from plimsoll.vault.opening import open_files
from plimsoll.vault.places import PlainPlace
from plimsoll.vault.use import is_held, plain_state, release, setting_up
from plimsoll.waits import waiting_for

CLOSE_LIMIT = 60.0
"""Seconds for which a sealer that nobody uses any more is waited for."""
LOOK = 0.02
_OPENING = ".opening"
_BLOCK = b"\0" * 4096


def rotate(state: Path, old: KeySource, new: KeySource, workspace: str) -> header.Header:
    """Wrap the data key with another key. No sealed file is written again, and whoever uses the vault goes on.

    Raises KeyProblem and SealedDamaged, and TargetError where the place of plain files changes while it is used.
    """
    with setting_up(state):
        before = header.read(state)
        if before.workspace != workspace and is_held(state):
            raise TargetError(
                "plain files cannot move to another workspace while they are used",
                where=str(PlainPlace(state, before.workspace).state),
                hint="end what runs first: plimsoll down",
            )
        data_key = header.data_key_of(before, old, state.parent)
        after = header.rewrapped(before, data_key, new, workspace, state.parent)
        header.write(state, after)
        return after


def remove(state: Path, source: KeySource) -> None:
    """Open all files for good, into the state directory. Raises KeyProblem, SealedDamaged, TargetError and OSError."""
    about = header.read(state)
    if PlainPlace(state, about.workspace).holds(about.vault):
        # A sealer was killed: what it had not sealed is there and nowhere else. Whoever opens it has it sealed.
        plain_state(state, source)
        release()
    with _unused(state):
        about = header.read(state)
        key = header.data_key_of(about, source, state.parent)
        sealed, into = state / header.DIRECTORY, state / _OPENING
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(into)
        into.mkdir(mode=0o700)
        open_files(index.read_index(sealed, about.vault, key), sealed, into, key)
        os.sync()
        for path in into.iterdir():
            target = state / path.name
            if path.name not in STAYS:
                if target.is_dir():
                    shutil.rmtree(target)
                path.replace(target)
        shutil.rmtree(into)
        flush(state)
        # It is a vault until its header is gone.
        header.path_of(state).unlink()
        shutil.rmtree(sealed)


def destroy(state: Path) -> header.Header:
    """Destroy the wrapped data key, and delete what is sealed under it. Returns the header, without what it wrapped.

    It needs no key. Raises TargetError while the vault is used, and OSError.
    """
    with _unused(state):
        about = header.read(state)
        path = header.path_of(state)
        with path.open("r+b") as file:
            file.write(_BLOCK)
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        flush(path.parent)
        PlainPlace(state, about.workspace).remove()
        shutil.rmtree(state / header.DIRECTORY)
        return about


@contextlib.contextmanager
def _unused(state: Path) -> Iterator[None]:
    """Nobody uses the vault, or begins to. Raises TargetError while somebody does."""
    with contextlib.ExitStack() as held:
        until = time.monotonic() + CLOSE_LIMIT
        with waiting_for("what is kept to be sealed and closed"):
            while not _closed(held, state):
                if time.monotonic() > until:
                    raise _in_use(state)
                time.sleep(LOOK)
        yield


def _closed(held: contextlib.ExitStack, state: Path) -> bool:
    """Take the locks of a vault that nobody uses; False while its sealer has not ended, which has the last word."""
    held.enter_context(setting_up(state))
    users = held.enter_context(opened_lock(state / header.DIRECTORY / USERS))
    if not try_lock(users, fcntl.LOCK_EX):
        raise _in_use(state)
    if is_held(state):
        held.close()
        return False
    return True


def _in_use(state: Path) -> TargetError:
    message = "what is kept is in use, by a run, a service or another command"
    return TargetError(message, where=str(state), hint="stop it first: plimsoll down")
