"""Whether the files of a stored result are those that its step wrote.

The digest of each file lies beside the result. A file is read again only when the file system says that something was
done to it since: its inode, size and times lie there too. When an inode changed cannot be set by who alters it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from plimsoll.files import flush, open_descriptor, read_digest, replace_file, write_through
from plimsoll.state.output_directory import Kind, entries, keep_links_inside
from plimsoll.state.results import OutputFile

DIGESTS, SEEN = "digests.json", "seen.json"
Value = TypeVar("Value")
Identity = tuple[int, int, int, int]
GRAIN = 20_000_000
"""Nanoseconds within which two changes of a file may have the same time: a file system counts the kernel's ticks."""


def seal(directory: Path, outputs: Iterable[OutputFile]) -> None:
    """Write the output of a finished step through to the disk with its digests, without what is not its own.

    Raises OSError.
    """
    output = directory / "output"
    wanted = {file.name for file in outputs if file.path is None}
    digests: dict[str, str] = {}
    seen: dict[str, Identity] = {}
    directories = [str(output)]
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
                    digests[entry.name] = _read(descriptor, entry.name, seen)
                os.fsync(descriptor)
    for name in wanted - digests.keys():
        # A link, or a file that is gone.
        with contextlib.suppress(OSError), open_descriptor(output / name) as descriptor:
            digests[name] = _read(descriptor, name, seen)
    write_through(directory / DIGESTS, msgspec.json.encode(digests))
    # What was seen is only a reason not to read again: after a crash without it, the files are read.
    (directory / SEEN).write_bytes(msgspec.json.encode(seen))
    for path in reversed(directories):
        flush(path)


def is_unaltered(directory: Path, outputs: Iterable[OutputFile]) -> bool:
    """Whether each file of the result in `directory` has its size, and the digest that it was stored with, if any."""
    digests = _decoded(f"{directory}/{DIGESTS}", _DIGESTS)
    before = _decoded(f"{directory}/{SEEN}", _SEEN)
    now: dict[str, Identity] = {}
    sizes = {file.name: file.size for file in outputs if file.path is None}
    try:
        for name in sizes.keys() | digests.keys():
            path = f"{directory}/output/{name}"
            identity = _identity(os.stat(path))
            if sizes.get(name, identity[1]) != identity[1]:
                return False
            if identity == before.get(name):
                now[name] = identity
            elif name in digests:
                with open_descriptor(path) as descriptor:
                    if _read(descriptor, name, now) != digests[name]:
                        return False
    except OSError:
        return False
    if now != before:
        # Where it cannot be written, the files are read again the next time.
        with contextlib.suppress(OSError):
            replace_file(directory / SEEN, msgspec.json.encode(now), durable=False)
    return True


def _read(descriptor: int, name: str, seen: dict[str, Identity]) -> str:
    """The digest of a file. It is seen only if no later change can leave it with the identity that it has now."""
    before = _identity(os.fstat(descriptor))
    digest = read_digest(descriptor)
    after = _identity(os.fstat(descriptor))
    if before == after and after[-1] + GRAIN < time.time_ns():
        seen[name] = after
    return digest


_DIGESTS = msgspec.json.Decoder(dict[str, str])
_SEEN = msgspec.json.Decoder(dict[str, Identity])


def _decoded(path: str, decoder: msgspec.json.Decoder[dict[str, Value]]) -> dict[str, Value]:
    try:
        with open(path, "rb", buffering=0) as file:
            return decoder.decode(file.read())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _identity(status: os.stat_result) -> Identity:
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
