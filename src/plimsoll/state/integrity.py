"""Whether the files of a stored result are those that its step wrote.

The digest of each file lies in result.json. A file is read again only when the file system says that something was
done to it since: its inode, size and times lie in seen.json. When an inode changed cannot be set by who alters it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE, decodable
from plimsoll.files import flush, open_descriptor, read_digest, read_file, replace_file, write_through
from plimsoll.state.output_directory import Kind, entries, keep_links_inside
from plimsoll.state.results import OutputFile, Result, result_to_json

OUTPUT, RESULT, SEEN = "output", "result.json", "seen.json"
Identity = tuple[int, int, int, int]
GRAIN = 20_000_000
"""Nanoseconds within which two changes of a file may have the same time: a file system counts the kernel's ticks."""


@decodable
class _Sealed(Struct, frozen=True):
    """What result.json has beside the values of the result's own type: the digest of each file that the step wrote."""

    digests: dict[str, str] = {}


class StoredResult:
    """A result in its directory: the content of result.json with the digests in it, and the identities of its files.

    In memory it spares the reading of these, not the look at the files.
    """

    def __init__(
        self, directory: Path, content: bytes, identity: Identity, digests: dict[str, str], seen: dict[str, Identity]
    ) -> None:
        self.directory = directory
        self.content = content
        self._output = f"{directory}/{OUTPUT}"
        self._file = f"{directory}/{RESULT}"
        self._identity = identity
        self._digests = digests
        self._seen = seen

    def is_current(self) -> bool:
        """Whether result.json is still the one that was read. Raises OSError when it is gone."""
        return _identity(os.stat(self._file)) == self._identity

    def is_unaltered(self, outputs: Iterable[OutputFile]) -> bool:
        """Whether each of the files has its size, and the digest that it was stored with, if it has one."""
        before, now = self._seen, dict[str, Identity]()
        sizes = {file.name: file.size for file in outputs if file.path is None}
        try:
            for name in sizes.keys() | self._digests.keys():
                identity = _identity(os.stat(f"{self._output}/{name}"))
                if sizes.get(name, identity[1]) != identity[1]:
                    return False
                if identity == before.get(name):
                    now[name] = identity
                elif name in self._digests and self._read(name, now) != self._digests[name]:
                    return False
        except OSError:
            return False
        if now != before:
            self._remember(now)
        return True

    def _read(self, name: str, seen: dict[str, Identity]) -> str:
        with open_descriptor(f"{self._output}/{name}") as descriptor:
            return _digest(descriptor, name, seen)

    def _remember(self, seen: dict[str, Identity]) -> None:
        self._seen = seen
        # Where it cannot be written, the files are read again the next time.
        with contextlib.suppress(OSError):
            replace_file(self.directory / SEEN, msgspec.json.encode(seen), durable=False)


def read_stored(directory: Path) -> StoredResult:
    """The result that lies in a directory. Raises OSError when there is none, and msgspec's errors for a broken one."""
    identity = _identity(os.stat(f"{directory}/{RESULT}"))
    content = read_file(f"{directory}/{RESULT}")
    digests = msgspec.json.decode(content, type=_Sealed).digests
    return StoredResult(directory, content, identity, digests, _seen(f"{directory}/{SEEN}"))


def seal(directory: Path, result: Result, final: Path) -> StoredResult:
    """Write a step's files through to the disk with its result and their digests, without what is not its own.

    Returns the result as it is once `directory` has become `final`. Raises OSError.
    """
    output = f"{directory}/{OUTPUT}"
    wanted = {file.name for file in result.outputs if file.path is None}
    digests, seen = dict[str, str](), dict[str, Identity]()
    directories = [output]
    for entry in list(entries(output)):
        if entry.kind is Kind.FOREIGN:
            os.unlink(entry.path)
        elif entry.kind is Kind.DIRECTORY:
            directories.append(entry.path)
        elif entry.kind is Kind.LINK:
            keep_links_inside(output, entry)
        else:
            with open_descriptor(entry.path) as descriptor:
                if entry.name in wanted:
                    digests[entry.name] = _digest(descriptor, entry.name, seen)
                os.fsync(descriptor)
    for name in wanted - digests.keys():
        # A link, or a file that is gone.
        with contextlib.suppress(OSError), open_descriptor(f"{output}/{name}") as descriptor:
            digests[name] = _digest(descriptor, name, seen)
    if seen:
        # It is not flushed: after a crash without it, the files are read again.
        replace_file(directory / SEEN, msgspec.json.encode(seen), durable=False)
    content = msgspec.json.encode({**result_to_json(result), "digests": digests})
    identity = _identity(write_through(f"{directory}/{RESULT}", content))
    for path in (*reversed(directories), str(directory)):
        flush(path)
    return StoredResult(final, content, identity, digests, seen)


def _digest(descriptor: int, name: str, seen: dict[str, Identity]) -> str:
    """The digest of a file. It is seen only if no later change can leave it with the identity that it has now."""
    before = _identity(os.fstat(descriptor))
    digest = read_digest(descriptor)
    after = _identity(os.fstat(descriptor))
    if before == after and after[-1] + GRAIN < time.time_ns():
        seen[name] = after
    return digest


def _seen(path: str) -> dict[str, Identity]:
    try:
        return msgspec.json.decode(read_file(path), type=dict[str, Identity])
    except (*UNREADABLE, OSError):
        return {}


def _identity(status: os.stat_result) -> Identity:
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
