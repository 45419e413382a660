"""The log of everything that a key ring signs: written before a signature is given away.

    keys/log/entries     a line of JSON for each statement, only ever appended
    keys/log/head.json   the signed size and root of the tree, with what adding the next entry needs

An entry is appended and flushed, the head is signed and flushed, and only then is the statement signed. A process that
is killed in between leaves an entry beyond the head, whose signature nobody has: the next one cuts it off.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.errors import TargetError
from plimsoll.files import flush, replace_file
from plimsoll.locks import locked_file
from plimsoll.signing.claims import Claim
from plimsoll.signing.log_entries import Entry, Head, as_line
from plimsoll.signing.merkle import Frontier, leaf_hash

LOCK_LIMIT = 60.0
"""Seconds to wait for others who sign."""
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)

SignHead = Callable[[Head], bytes]
OpenHead = Callable[[bytes], Head]


@decodable
class _Kept(Struct, frozen=True, kw_only=True):
    """The file of the head: the envelope, and the roots of the complete subtrees with the digest of the last entry."""

    envelope: msgspec.Raw
    roots: tuple[str, ...]
    last: str


class SigningLog:
    """The log in a directory. Several processes may add to it at once."""

    def __init__(self, directory: Path) -> None:
        self.entries = directory / "entries"
        self.head = directory / "head.json"
        self._directory = directory

    def exists(self) -> bool:
        """Whether anything was ever logged here."""
        return self.head.exists() or self.entries.exists()

    def add(self, claim: Claim, key_id: str, sign_head: SignHead, open_head: OpenHead) -> bool:
        """Log what is about to be signed, durably. False where the ring cannot be written, which is no fault of it.

        Raises TargetError when the log cannot be written, or is not what was signed.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._locked():
                self._append(claim, key_id, sign_head, open_head)
        except OSError as error:
            if error.errno in _UNWRITABLE and not os.access(self._directory, os.W_OK):
                return False
            hint = "free space on the disk, or make the directory writable: what is not logged is not signed"
            message = f"the log of what is signed cannot be written: {error.strerror}"
            raise TargetError(message, where=str(self._directory), hint=hint) from error
        return True

    def read_head(self, open_head: OpenHead) -> Head:
        """The signed head. Raises TargetError when there is none, or when it is not by a key of the owner."""
        return self._read(open_head)[0]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with locked_file(self._directory / ".lock", limit=LOCK_LIMIT) as locked:
            if not locked:
                message = f"another process keeps the log of what is signed locked for {LOCK_LIMIT:g} s"
                raise TargetError(message, where=str(self._directory), hint="wait for that process, or end it")
            yield

    def _append(self, claim: Claim, key_id: str, sign_head: SignHead, open_head: OpenHead) -> None:
        now = datetime.now(UTC)
        if self.exists():
            head, frontier, last = self._read(open_head)
        else:
            name = secrets.token_hex(8)
            head, frontier, last = Head(log=name, size=0, root="", bytes=0, at=now), Frontier(), ""
        self._cut_to(head.bytes)
        lines: list[bytes] = []
        if not frontier.size:
            lines.append(as_line(Entry(n=0, at=now, log=head.log)))
            last = leaf_hash(lines[0]).hex()
        entry = Entry(
            n=frontier.size + len(lines),
            prev=last,
            at=now,
            key=key_id,
            statement=claim.digest,
            kind=claim.kind,
            predicate=claim.predicate_type,
            names=claim.names,
            subjects=claim.subjects,
        )
        lines.append(as_line(entry))
        for line in lines:
            frontier.add(leaf_hash(line))
        content = b"".join(line + b"\n" for line in lines)
        self._write(content)
        new = Head(
            log=head.log, size=frontier.size, root=frontier.root().hex(), bytes=head.bytes + len(content), at=now
        )
        kept = _Kept(
            envelope=msgspec.Raw(sign_head(new)),
            roots=tuple(each.hex() for each in frontier.roots),
            last=leaf_hash(lines[-1]).hex(),
        )
        replace_file(self.head, msgspec.json.encode(kept))

    def _read(self, open_head: OpenHead) -> tuple[Head, Frontier, str]:
        """The head with the tree to add to. Raises TargetError."""
        try:
            content = self.head.read_bytes()
            kept = msgspec.json.decode(content, type=_Kept)
            frontier_roots = [bytes.fromhex(each) for each in kept.roots]
        except FileNotFoundError:
            return self._without_head()
        except (*UNREADABLE, ValueError, OSError) as error:
            raise TargetError(
                f"the head of the log cannot be read: {error}", where=str(self.head), hint=_HINT
            ) from error
        head = open_head(bytes(kept.envelope))
        frontier = Frontier(head.size, frontier_roots)
        if not frontier.is_whole() or frontier.root().hex() != head.root:
            raise TargetError("the head of the log is not what was signed", where=str(self.head), hint=_HINT)
        return head, frontier, kept.last

    def _without_head(self) -> tuple[Head, Frontier, str]:
        """A log whose first writer was killed has entries of a line or two, and no head yet."""
        if self.entries.stat().st_size > _FIRST_BYTES:
            raise TargetError("the log of what is signed has lost its head", where=str(self.head), hint=_HINT)
        head = Head(log=secrets.token_hex(8), size=0, root="", bytes=0, at=datetime.now(UTC))
        return head, Frontier(), ""

    def _cut_to(self, size: int) -> None:
        """Take away what a killed process has left. Raises TargetError for a log that was cut."""
        try:
            found = self.entries.stat().st_size
        except FileNotFoundError:
            found = 0
        if found < size:
            message = f"the log of what is signed was cut: it has {found} bytes, and {size} were signed"
            raise TargetError(message, where=str(self.entries), hint=_HINT)
        if found > size:
            os.truncate(self.entries, size)

    def _write(self, content: bytes) -> None:
        new = not self.entries.exists()
        descriptor = os.open(self.entries, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            while content:
                content = content[os.write(descriptor, content) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            flush(self._directory)


_FIRST_BYTES = 4096
_HINT = (
    "see what is wrong with `plimsoll audit log --verify`, and restore the directory from a copy; moved away, it is "
    "replaced by a new log, which witnesses tell from this one"
)
