"""The audit log of a service as a file: one chain over all processes of the server, checkpoints, and what was lost.

The processes take turns by a lock on `<log>.head`, which says where the chain has come to; a new one goes on from
there. Nothing is flushed to disk for each line: what the kernel has not written yet is lost when the machine loses
power, and the head then says that lines are missing. A server that is killed loses what it has not written, which is
at most the calls of `observers.PAUSE`.

On standard output, which has no lock, each process has a chain of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from plimsoll.audit.chain import BEGIN, CHECKPOINT, DROPPED, LOST, TORN, Link, append, append_all, read, signed_text
from plimsoll.audit.files import HEAD, Head
from plimsoll.decoding import UNREADABLE
from plimsoll.errors import TargetError
from plimsoll.signing.checkpoints import Checkpoints
from plimsoll.telemetry import json_lines
from plimsoll.telemetry.json_lines import OWNER_ONLY, JsonLinesFile, locked

WhenFull = Literal["stop", "continue"]
HOUR = 3600
HEAD_BYTES = 256
_LAST_BYTES = 4 << 20
"""Bytes at the end of a log in which its last whole line is looked for, where its head does not say it."""


class AuditFile(JsonLinesFile):
    """A log whose lines are chained, and signed by the hour where there is a key.

    When its disk is full, `stop` keeps all lines and says that there is a `problem`, and `continue` drops the oldest
    and counts them in a line of the log.
    """

    def __init__(self, path: str, *, full: WhenFull = "stop", key: str = "") -> None:
        """Open the log. Raises TargetError when it cannot be written, or the key in the directory `key` not read."""
        super().__init__(path, lossless=full == "stop")
        self._keys = Checkpoints(Path(key)) if key else None
        self._told_lost = 0
        self._closing = False
        self._own = Head(chain=secrets.token_hex(8), number=0, digest=Link(chain="").digest)
        self._head_file = -1
        if path != "-":
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            try:
                self._head_file = os.open(path + HEAD, flags, OWNER_ONLY)
                if os.fstat(self._head_file).st_size < HEAD_BYTES:
                    # Its place on the disk is taken now: a full disk must not refuse the head of lines that it has.
                    os.pwrite(self._head_file, b"{}".ljust(HEAD_BYTES - 1) + b"\n", 0)
            except OSError as error:
                self._file.close()
                raise TargetError(f"cannot write the log: {error.strerror}", where=path + HEAD) from error

    def tick(self) -> None:
        """Write what waits, and a checkpoint when an hour has passed since the last one."""
        if self._pending or (self._keys is not None and self._is_due(self._present())):
            self._begin_write()

    def close(self) -> None:
        """Try once more to write what waits, sign, and close the file."""
        self._closing = True
        self._begin_write()
        super().close()
        if self._head_file >= 0:
            os.close(self._head_file)

    def _begin_write(self) -> None:
        """As `write` without new lines, also when none waits: there may be something to sign."""
        try:
            self._reopen_moved()
            self._write_pending()
        except OSError as error:
            self.problem = f"the log cannot be written: {error.strerror}"
        else:
            self.problem = ""

    def _write_pending(self) -> None:
        """Raises OSError; `_pending` then has the lines that are not in the file."""
        if self.path == "-":
            self._write_own_chain()
            return
        with _locked(self._head_file):
            self._reopen_moved()
            size = os.fstat(self._file.fileno()).st_size
            head, repair = self._where(size)
            content, after = self._sealed(head, repair)
            if content:
                self._write_whole(content, size)
                self._pending.clear()
                self._set_head(after, size + len(content))
            self._told_lost = self.lost
            if self._is_long():
                self._rotate(after)

    def _where(self, size: int) -> tuple[Head, bytes]:
        """Where the chain has come to, and what was torn off after it. A server may have ended between two writes."""
        head = self._present()
        if head is not None and head.size >= size:
            return head, b""
        found, torn = _last_line(Path(self.path), size)
        if found is not None and (head is None or (found.chain == head.chain and found.number >= head.number)):
            link = found
        else:
            link = head.link if head is not None else self._own.link
        signed = head.signed if head is not None else 0
        return Head(chain=link.chain, number=link.number, digest=link.digest, signed=signed), torn

    def _present(self) -> Head | None:
        if self.path == "-":
            return self._own
        try:
            return msgspec.json.decode(os.pread(self._head_file, HEAD_BYTES, 0), type=Head)
        except (*UNREADABLE, OSError):
            return None

    def _sealed(self, head: Head, torn: bytes) -> tuple[bytes, Head]:
        """The bytes of the lines that wait, with the log's own before and after them."""
        before: list[bytes] = []
        if head.number == 0 and (self._pending or torn):
            before.append(_own(BEGIN, key=self._keys.key_id if self._keys else None))
        if torn:
            before.append(_own(TORN, bytes=len(torn), sha256=hashlib.sha256(torn).hexdigest()))
        if self.lost > self._told_lost:
            reason = "they could not be written, and the log is told to go on"
            before.append(_own(LOST, count=self.lost - self._told_lost, reason=reason))
        lines, link = append_all([*before, *(waiting.strip(b"\n") for waiting in self._pending)], head.link)
        signed = head.signed
        if self._keys is not None and link.number and (head.signed != _hour() or self._closing):
            content = _own(CHECKPOINT, key=self._keys.key_id, signature=self._keys.sign(signed_text(link)))
            line, link = append(content, link)
            lines.append(line)
            signed = _hour()
        content = b"".join((b"\n" if torn else b"", *(line + b"\n" for line in lines)))
        return content, Head(chain=link.chain, number=link.number, digest=link.digest, signed=signed)

    def _is_due(self, head: Head | None) -> bool:
        return head is not None and head.number > 0 and head.signed != _hour()

    def _write_whole(self, content: bytes, size: int) -> None:
        """Write all or nothing. Raises OSError."""
        view, written = memoryview(content), 0
        try:
            while written < len(view):
                written += self._write_some(view[written:])
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(size)
            raise

    def _set_head(self, head: Head, size: int) -> None:
        told = msgspec.json.encode(msgspec.structs.replace(head, size=size)).ljust(HEAD_BYTES - 1) + b"\n"
        os.pwrite(self._head_file, told, 0)

    def _rotate(self, head: Head) -> None:
        """Begin a new file. Its first lines say what has gone with the oldest one."""
        path = Path(self.path)
        oldest = path.with_name(f"{path.name}.{json_lines.KEPT}")
        drops = oldest.exists()
        self._rotate_long()
        self._set_head(head, 0)
        first = _first_number(oldest) if drops else 1
        if first > 1:
            line, link = append(_own(DROPPED, through=first - 1), head.link)
            self._write_whole(line + b"\n", 0)
            moved = Head(chain=link.chain, number=link.number, digest=link.digest, signed=head.signed)
            self._set_head(moved, len(line) + 1)

    def _write_own_chain(self) -> None:
        """Raises OSError. What a pipe has taken cannot be taken back: a line that it took half begins anew."""
        content, after = self._sealed(self._own, b"")
        view, written = memoryview(content), 0
        try:
            while written < len(view):
                written += self._write_some(view[written:])
        except OSError:
            self._keep_rest(content, written)
            raise
        self._own = after
        self._pending.clear()
        self._told_lost = self.lost

    def _keep_rest(self, content: bytes, written: int) -> None:
        whole = content[:written].rpartition(b"\n")[0].split(b"\n") if b"\n" in content[:written] else []
        for line in whole:
            found = read(line)
            if found is None:
                continue
            link = found.link
            self._own = Head(chain=link.chain, number=link.number, digest=link.digest, signed=self._own.signed)
            if self._pending and line.startswith(self._pending[0].strip(b"\n")[:-1]):
                self._pending.pop(0)
        if written and content[written - 1 : written] != b"\n":
            with contextlib.suppress(OSError):
                self._file.write(b"\n")


def _own(event: str, **values: object) -> bytes:
    """The content of one of the log's own lines."""
    told = {name: value for name, value in values.items() if value is not None}
    return msgspec.json.encode({"at": datetime.now(UTC), "event": event, **told})


def _hour() -> int:
    return int(time.time()) // HOUR


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    with os.fdopen(os.dup(descriptor), "rb") as file, locked(file):
        yield


def _last_line(path: Path, size: int) -> tuple[Link | None, bytes]:
    """The last whole line of a log, and what stands after its last line end. Raises OSError."""
    with path.open("rb") as file:
        file.seek(max(0, size - _LAST_BYTES))
        content = file.read(_LAST_BYTES)
    whole, _, torn = content.rpartition(b"\n")
    for line in reversed(whole.split(b"\n")):
        found = read(line)
        if found is not None and found.whole:
            return found.link, torn
    return None, torn


def _first_number(path: Path) -> int:
    """The number of the first line of a log file; 1 where it cannot be told."""
    try:
        with path.open("rb") as file:
            found = read(file.readline().rstrip(b"\n"))
    except OSError:
        return 1
    return found.link.number if found is not None else 1
