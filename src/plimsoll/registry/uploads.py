"""Upload a blob: in one request when it is small, else in chunks that continue after a broken connection.

Source: OCI Distribution Specification 1.1, "Pushing Blobs". Some registries keep the bytes of a broken chunk
(distribution 3). Others drop the whole upload (distribution 2), which then starts again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from plimsoll.errors import TargetError
from plimsoll.registry.connection import RESPONSE_LIMIT, TRIES, RegistryConnection, RegistryResponse
from plimsoll.registry.problems import RegistryError

CHUNK = 64 << 20
"""Bytes of one request: the most that is sent again after a broken connection."""
_READ_BYTES = 1 << 18
_HASH_RATE = 20e6
"""Bytes per second: a registry may hash a whole blob before it answers, and slow ones hash at least this fast."""


class _UploadLost(Exception):
    """The registry has dropped the upload, which must start again."""


def upload(connection: RegistryConnection, location: str, digest: str, size: int, path: Path, scopes: str) -> None:
    """Send the file `path` to the upload at `location`. Raises RegistryError after several tries."""
    session = _Upload(connection, digest, size, path, scopes)
    failures = furthest = 0
    while True:
        try:
            session.run(location)
        except RegistryError as error:
            if error.lasting:
                raise
            # Progress resets the count of failures; failing at the same offset again does not.
            failures = 1 if session.offset > furthest else failures + 1
            furthest = max(furthest, session.offset)
            if failures >= TRIES:
                raise
            time.sleep(0.2 * 2**failures)
        except _UploadLost:
            failures += 1
            if failures >= TRIES:
                message = f"the registry dropped the upload of {digest} {TRIES} times"
                hint = "push again, or ask the operator of the registry for the reason"
                raise RegistryError(message, where=connection.reference.name, hint=hint) from None
            if session.blob_exists():
                return
            session.location, session.offset = "", 0
            location = connection.request("POST", session.begin, scopes=scopes, tries=TRIES).headers.get("Location", "")
        else:
            return


class _Upload:
    def __init__(self, connection: RegistryConnection, digest: str, size: int, path: Path, scopes: str) -> None:
        self.connection = connection
        self.begin = f"/v2/{connection.reference.repository}/blobs/uploads/"
        self.digest, self.size, self.path, self.scopes = digest, size, path, scopes
        self.location = ""
        self.offset = 0
        self.chunk = CHUNK

    def blob_exists(self) -> bool:
        """Whether the registry has the blob: perhaps only the response was lost."""
        blob = f"/v2/{self.connection.reference.repository}/blobs/{self.digest}"
        return self.connection.request("HEAD", blob, scopes=self.scopes, accept=[404]).status < 400

    def run(self, location: str) -> None:
        """Send the rest of the file. Only the first call uses `location`, where the upload begins."""
        if not self.location:
            self.location = location
        elif self.size > CHUNK:
            self._ask_offset()
        else:
            raise _UploadLost
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
            self._ask_offset()
            return
        self.location = answer.headers.get("Location", self.location)
        self.offset += length

    def _finish(self) -> None:
        joint = "&" if "?" in self.location else "?"
        answer = self._send(
            "PUT", f"{self.location}{joint}digest={self.digest}", self.offset, self.size - self.offset, {}
        )
        if answer.status == 416:
            raise _UploadLost
        self.offset = self.size

    def _send(self, method: str, path: str, offset: int, length: int, headers: dict[str, str]) -> RegistryResponse:
        answer = self.connection.request(
            method,
            path,
            scopes=self.scopes,
            headers={"Content-Type": "application/octet-stream", "Content-Length": str(length), **headers},
            content=lambda: self._pieces(offset, length),
            tries=1,
            accept=[404, 416],
            limit=RESPONSE_LIMIT + self.size / _HASH_RATE,
        )
        if answer.status == 404:
            raise _UploadLost
        return answer

    def _pieces(self, offset: int, length: int) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                while length:
                    piece = file.read(min(_READ_BYTES, length))
                    if not piece:
                        message = f"the file of {self.digest} became shorter while it was pushed"
                        raise TargetError(message, where=str(self.path), hint="do not change the file, and push again")
                    length -= len(piece)
                    self.connection.count(sent=len(piece))
                    yield piece
        except OSError as error:
            raise TargetError(f"cannot read a blob: {error.strerror}", where=str(self.path)) from error

    def _ask_offset(self) -> None:
        """Ask the registry how many bytes it has. A registry that does not answer has dropped the upload."""
        answer = self.connection.request("GET", self.location, scopes=self.scopes, accept=[404, 405])
        arrived = re.fullmatch(r"(?:bytes=)?0-(\d+)", answer.headers.get("Range", ""))
        if answer.status >= 400 or not arrived:
            raise _UploadLost
        self.location = answer.headers.get("Location", self.location)
        # "0-0" means one byte or none. We assume none; if it was one, the registry refuses and we ask again.
        self.offset = int(arrived[1]) + 1 if arrived[1] != "0" else 0
