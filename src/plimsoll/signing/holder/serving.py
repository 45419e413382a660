"""The holder itself: reads the key once, hides its memory, and signs what it may for whom it may."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import socket
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import PlimsollError, TargetError
from plimsoll.signing.dsse import sign_by
from plimsoll.signing.holder.messages import Answered, Asked, discard, receive, send
from plimsoll.signing.holder.peers import Peer, peer_of, refusal
from plimsoll.signing.key_files import described_key
from plimsoll.signing.simple import sign_document_by

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

    from plimsoll.signing.keys import KeyRing

REQUEST_LIMIT = 30.0
"""Seconds for a request to arrive and for an answer to be taken."""
REFUSED_LIMIT = 2.0
"""Seconds for the request of somebody who is refused anyway."""
MOST_CONNECTIONS = 16
_PR_SET_DUMPABLE = 4


def hide_memory() -> bool:
    """Keep other processes of this user from reading this one's memory, and the kernel from writing it to disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)


class Holder:
    """Signs with one key on one socket. `say` gets a line for each request that was refused."""

    def __init__(
        self,
        keys: KeyRing,
        signer: Signer,
        place: Path,
        allowed: Collection[int],
        say: Callable[[str], None],
    ) -> None:
        self._keys = keys
        self._signer = signer
        self._place = place
        self._allowed = frozenset(allowed)
        self._say = say
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._one = threading.Lock()
        self.key_id = str(signer.public_key.keyid)

    def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Answer until it is interrupted. Raises TargetError when the socket cannot be made."""
        with _listening(self._place, shared=self._allowed != {os.getuid()}) as listener:
            ready()
            while True:
                connection, _ = listener.accept()
                # The clock by which the kernel says when processes began.
                connected = time.clock_gettime(time.CLOCK_BOOTTIME)
                self._room.acquire()
                threading.Thread(target=self._answer, args=(connection, connected), daemon=True).start()

    def _answer(self, connection: socket.socket, connected: float) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(REQUEST_LIMIT)
                peer = peer_of(connection)
                why = refusal(peer, self._allowed, connected)
                if why:
                    connection.settimeout(REFUSED_LIMIT)
                    discard(connection)
                    self._say(f"refused process {peer.pid} of user {peer.uid}: {why}")
                    answer = Answered(refused=why, hint="sign from a shell of yours, outside of runs")
                else:
                    answer = self._answered(receive(connection), peer)
                send(connection, answer)
        finally:
            self._room.release()

    def _answered(self, content: bytes, peer: Peer) -> Answered:
        try:
            asked = msgspec.json.decode(content, type=Asked)
        except UNREADABLE:
            return Answered(refused="the holder of the signing key cannot read the request")
        if asked.do == "hello":
            return Answered(key_id=self.key_id, key=described_key(self._signer.public_key))
        if asked.do not in {"sign", "sign-document"}:
            return Answered(refused=f"the holder of the signing key knows no request '{asked.do[:40]}'")
        try:
            with self._one:
                if asked.do == "sign-document":
                    bare = sign_document_by(self._signer, asked.payload, self._keys)
                    return Answered(key_id=self.key_id, signature=bare.signature)
                signed = sign_by(self._signer, asked.payload, self._keys)
        except PlimsollError as error:
            self._say(f"refused process {peer.pid} of user {peer.uid}: {error.on_one_line()}")
            return Answered(key_id=self.key_id, refused=error.message, hint=error.hint)
        return Answered(key_id=self.key_id, envelope=signed.envelope)


@contextlib.contextmanager
def _listening(place: Path, *, shared: bool) -> Iterator[socket.socket]:
    """A socket at a path, which is removed afterwards. Raises TargetError."""
    try:
        _remove_old(place)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            # The kernel tells who connects; the mode keeps out whoever would be refused anyway.
            listener.bind(str(place))
            place.chmod(0o666 if shared else 0o600)
            listener.listen(MOST_CONNECTIONS)
            try:
                yield listener
            finally:
                place.unlink(missing_ok=True)
    except OSError as error:
        message = f"the holder cannot listen: {error.strerror or error}"
        hint = "name a shorter path, or one in a directory that is yours: --socket PATH"
        raise TargetError(message, where=str(place), hint=hint) from error


def _remove_old(place: Path) -> None:
    """Remove the socket of a holder that was killed. Raises TargetError when one runs, or something else is there."""
    try:
        if not stat.S_ISSOCK(place.lstat().st_mode):
            raise TargetError(
                "there is something else at the holder's socket", where=str(place), hint="name another path"
            )
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(place))
        except (ConnectionRefusedError, FileNotFoundError):
            place.unlink(missing_ok=True)
            return
    raise TargetError(
        "a holder of the key runs here already", where=str(place), hint="end it first, with Ctrl-C or SIGTERM"
    )
