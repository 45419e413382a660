"""The process that holds a vault open: it opens the files, seals what changes, and closes when nobody uses them.

It has a life of its own, so that a command that is killed leaves nothing in clear. Whoever uses the files holds a
shared lock that the kernel releases with the process; when there is none, everything is sealed and the plain files are
deleted. The data key comes over standard input, and is in no argument, variable or file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from plimsoll.decoding import decodable
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.vault import header
from plimsoll.vault.index import Index, read_index
from plimsoll.vault.locking import SEALER, SETUP, USERS, forget_problem, note_problem, opened_lock, try_lock
from plimsoll.vault.opening import OBJECTS, open_files
from plimsoll.vault.places import PlainPlace
from plimsoll.vault.sealing import GRAIN, Sealing

INTERVAL = 0.25
"""Seconds between two passes, at least."""
REST = 20
"""Times that a pass took, which pass until the next one."""
RETRY = 5.0
"""Seconds after which what could not be sealed is tried again."""
LOOK = 0.02
PEEK_LIMIT = 5.0
"""Seconds for which it waits for those who only look whether there is one."""


@decodable
class Order(Struct, frozen=True, kw_only=True):
    """What the sealer is told: the state directory and the data key."""

    state: str
    key: bytes


@decodable
class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it says: nothing is wrong, or what is."""

    message: str = ""
    where: str = ""
    hint: str = ""


class Sealer:
    """Holds one vault open."""

    def __init__(self, order: Order) -> None:
        self._state = Path(order.state)
        self._sealed = self._state / header.DIRECTORY
        self._header = header.read(self._state)
        self._key = order.key
        self._place = PlainPlace(self._state, self._header.workspace)
        self._sealing = Sealing(self._place.state, self._sealed, self._header.vault, order.key)
        self._life: IO[bytes] | None = None

    def open(self) -> None:
        """Make the plain files. Raises PlimsollError and OSError."""
        self._life = opened_lock(self._sealed / SEALER)
        self._take(self._life)
        (self._sealed / OBJECTS).mkdir(exist_ok=True)
        self._forget()
        index = read_index(self._sealed, self._header.vault, self._key)
        if self._place.holds(self._header.vault):
            # A sealer was killed. What it had not sealed is here and nowhere else.
            return
        self._place.make()
        try:
            open_files(index, self._sealed, self._place.state, self._key)
        except BaseException:  # also when it is interrupted: no plain file stays behind
            self._place.remove()
            raise
        self._sealing.begin(index.entries)
        time.sleep(2 * GRAIN / 1e9)
        self._place.mark(self._header.vault)

    def _take(self, life: IO[bytes]) -> None:
        """Whoever asks whether there is a sealer has the lock for a moment."""
        until = time.monotonic() + PEEK_LIMIT
        while not try_lock(life, fcntl.LOCK_EX):
            if time.monotonic() > until:
                raise TargetError("another process holds the state open", where=str(self._sealed), hint="try again")
            time.sleep(LOOK)

    def keep(self) -> None:
        """Seal until nobody uses the files, and then delete them."""
        while True:
            began = time.monotonic()
            waiting = self._waiting()
            done = self._pass(all_now=bool(waiting))
            if done:
                for each in waiting:
                    each.unlink(missing_ok=True)
            if self._closed():
                return
            pause = max(INTERVAL, REST * (time.monotonic() - began)) if done else RETRY
            until = time.monotonic() + pause
            while time.monotonic() < until and not (done and self._waiting()):
                time.sleep(LOOK)

    def _pass(self, *, all_now: bool) -> bool:
        """Seal what has changed. Returns whether that could be done; why not is noted where commands look."""
        if not self._place.holds(self._header.vault):
            # Somebody has deleted the plain files, such as the system at the end of a session: what is sealed is what
            # there is, and emptiness is not sealed over it.
            self._note("the plain files were deleted while they were used")
            os._exit(1)
        try:
            self._sealing.seal(all_now=all_now)
        except OSError as error:
            self._note(f"{error.strerror or error} ({error.filename or self._sealed})")
            return False
        self._forget()
        return True

    def _note(self, text: str) -> None:
        note_problem(text, self._place.directory, self._sealed)

    def _forget(self) -> None:
        forget_problem(self._place.directory, self._sealed)

    def _waiting(self) -> list[Path]:
        try:
            return list(self._place.waiting.iterdir())
        except OSError:
            return []

    def _closed(self) -> bool:
        """Close the vault, when nobody uses it and everything is sealed."""
        with opened_lock(self._sealed / SETUP) as setup, opened_lock(self._sealed / USERS) as users:
            if not (try_lock(setup, fcntl.LOCK_EX) and try_lock(users, fcntl.LOCK_EX)):
                return False
            try:
                while not self._sealing.seal(all_now=True):
                    time.sleep(GRAIN / 1e9)
            except OSError as error:
                self._note(f"{error.strerror or error} ({error.filename or self._sealed})")
                return False
            self._place.remove()
            return True


def main() -> None:
    """Read the order, open, say how that went, and keep the vault."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    sys.stdin.close()
    answer = Answer()
    sealer: Sealer | None = None
    try:
        opening = Sealer(order)
        opening.open()
        sealer = opening
    except PlimsollError as error:
        answer = Answer(message=error.message, where=error.where, hint=error.hint)
    except OSError as error:
        answer = Answer(message=error.strerror or str(error), where=str(error.filename or order.state))
    # A command that was interrupted hears nothing any more; what was opened for it is still to be closed.
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.buffer.write(msgspec.json.encode(answer))
        sys.stdout.flush()
    # Whoever waits for the end of this command's output does not wait for it.
    null = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(null, number)
    if sealer is not None:
        sealer.keep()


def new_vault(state: Path, made: header.Header, key: bytes) -> None:
    """Write an empty vault: the index first, and the header, by which it is one, last. Raises OSError."""
    from plimsoll.vault.index import write_index

    sealed = state / header.DIRECTORY
    (sealed / OBJECTS).mkdir(parents=True, exist_ok=True)
    write_index(sealed, Index(made.vault), key)
    header.write(state, made)
