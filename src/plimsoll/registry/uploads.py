"""A blob's way into a repository: at once when it is small, else in chunks that go on where the network broke off.

Source: OCI Distribution Specification 1.1, "Pushing Blobs". Some registries keep what arrived of a broken chunk
(distribution 3), some drop the whole upload (distribution 2), which then starts from the beginning.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.registry.connection import ANSWER_LIMIT, TRIES, Answer, Connection
from plimsoll.registry.problems import RegistryError

CHUNK = 64 << 20
"""Bytes of one request: what is sent again, at most, when a connection breaks."""
_PIECE = 1 << 18
_HASHED = 20e6
"""Bytes a second: a registry may hash all of a blob before it answers, and slow ones do so much at least."""


class _Lost(Exception):
    """The registry has forgotten the upload: it starts from the beginning."""


def upload(connection: Connection, location: str, digest: str, size: int, path: Path, scopes: str) -> None:
    """Send `path` to an upload that was begun at `location`. Raises RegistryError after several tries."""
    session = _Upload(connection, digest, size, path, scopes)
    failures = furthest = 0
    while True:
        try:
            session.run(location)
        except RegistryError as error:
            if error.lasting:
                raise
            # Getting further than ever is a reason to go on; getting as far again and again is none.
            failures = 1 if session.offset > furthest else failures + 1
            furthest = max(furthest, session.offset)
            if failures >= TRIES:
                raise
            time.sleep(0.2 * 2**failures)
        except _Lost:
            failures += 1
            if failures >= TRIES:
                message = f"the registry loses the upload of {digest} each time"
                raise RegistryError(message, where=connection.reference.name) from None
            if session.arrived():
                return
            session.location, session.offset = "", 0
            location = connection.request("POST", session.begin, scopes=scopes, tries=TRIES).headers.get("Location", "")
        else:
            return


class _Upload:
    def __init__(self, connection: Connection, digest: str, size: int, path: Path, scopes: str) -> None:
        self.connection = connection
        self.begin = f"/v2/{connection.reference.repository}/blobs/uploads/"
        self.digest, self.size, self.path, self.scopes = digest, size, path, scopes
        self.location = ""
        self.offset = 0
        self.chunk = CHUNK

    def arrived(self) -> bool:
        """Whether the blob is there after all: it may be only the answer that was lost."""
        blob = f"/v2/{self.connection.reference.repository}/blobs/{self.digest}"
        return self.connection.request("HEAD", blob, scopes=self.scopes, accept=[404]).status < 400

    def run(self, location: str) -> None:
        """Send what is left. `location` is where the upload begins, and used the first time only."""
        if not self.location:
            self.location = location
        elif self.size > CHUNK:
            self._where_it_broke()
        else:
            raise _Lost
        while self.size > CHUNK and self.offset < self.size:
            self._send_chunk()
        self._finish()

    def _send_chunk(self) -> None:
        length = min(self.chunk, self.size - self.offset)
        answer = self._send(
            "PATCH",
            self.location,
            self.offset,
            length,
            {"Content-Range": f"{self.offset}-{self.offset + length - 1}"},
        )
        if answer.status == 416:
            self._where_it_broke()
            return
        self.location = answer.headers.get("Location", self.location)
        self.offset += length

    def _finish(self) -> None:
        joint = "&" if "?" in self.location else "?"
        answer = self._send(
            "PUT", f"{self.location}{joint}digest={self.digest}", self.offset, self.size - self.offset, {}
        )
        if answer.status == 416:
            raise _Lost
        self.offset = self.size

    def _send(self, method: str, path: str, offset: int, length: int, headers: dict[str, str]) -> Answer:
        answer = self.connection.request(
            method,
            path,
            scopes=self.scopes,
            headers={"Content-Type": "application/octet-stream", "Content-Length": str(length), **headers},
            content=lambda: self._pieces(offset, length),
            tries=1,
            accept=[404, 416],
            limit=ANSWER_LIMIT + self.size / _HASHED,
        )
        if answer.status == 404:
            raise _Lost
        return answer

    def _pieces(self, offset: int, length: int) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                while length:
                    piece = file.read(min(_PIECE, length))
                    if not piece:
                        message = f"{self.digest} has become shorter while it was pushed"
                        raise TargetError(message, where=str(self.path))
                    length -= len(piece)
                    self.connection.count(sent=len(piece))
                    yield piece
        except OSError as error:
            raise TargetError(f"a blob cannot be read: {error.strerror}", where=str(self.path)) from error

    def _where_it_broke(self) -> None:
        """Ask how much has arrived; a registry that does not say has lost it."""
        answer = self.connection.request("GET", self.location, scopes=self.scopes, accept=[404, 405])
        arrived = re.fullmatch(r"(?:bytes=)?0-(\d+)", answer.headers.get("Range", ""))
        if answer.status >= 400 or not arrived:
            raise _Lost
        self.location = answer.headers.get("Location", self.location)
        # "0-0" says one byte or none; taking it for none is refused and asked again when it was one.
        self.offset = int(arrived[1]) + 1 if arrived[1] != "0" else 0
