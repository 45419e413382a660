"""Audit logs without what they say of a person: a line keeps its place in the chain, and its content goes.

The digests stay, so that the log verifies with the certificate of the erasure, and without it says which line is
another. A server that writes meanwhile takes turns by the lock of the log's head, as its own processes do.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from plimsoll.audit.chain import ERASED, OWN, Link, erased, read
from plimsoll.audit.files import HEAD, Head
from plimsoll.decoding import UNREADABLE
from plimsoll.engine.erasing.finding import AUDIT, Finding
from plimsoll.engine.erasing.states import AUDIT_NAMES, shown
from plimsoll.errors import TargetError
from plimsoll.files import open_regular, replace_file
from plimsoll.state.directory import StateDirectory
from plimsoll.subjects.identity import Matcher
from plimsoll.subjects.records import is_of
from plimsoll.subjects.texts import places

HEAD_BYTES = 256
LOCK_LIMIT = 30.0
_KEPT_WORDS = ("at", "model", "version", "digest", "verdict", "status")
"""What of a line says nothing of a person, and stays."""


def findings_in_logs(state: StateDirectory, matcher: Matcher, columns: Collection[str]) -> Iterator[Finding]:
    """The audit logs that have lines of the person."""
    for path in logs_of(state):
        with open_regular(path) as file:
            count = sum(is_about(line, matcher, columns) for line in file)
        if count:
            yield Finding(
                place=AUDIT,
                name=shown(state, path),
                what=f"{count} line{'s' if count > 1 else ''}",
                how="rewritten",
                why="the chain goes on over erased lines",
                path=str(path),
            )


def logs_of(state: StateDirectory) -> list[Path]:
    """Files of audit logs below a state directory, without their heads and without the snapshots of a quarantine."""
    found = []
    for directory, directories, files in os.walk(state.root):
        if Path(directory) == state.root:
            directories[:] = [name for name in directories if name not in {"targets", "quarantine", "registry"}]
        found += [Path(directory, name) for name in files if any(part in name for part in AUDIT_NAMES)]
    return sorted(path for path in found if not path.name.endswith(HEAD) and path.is_file() and not path.is_symlink())


def is_about(line: bytes, matcher: Matcher, columns: Collection[str]) -> bool:
    """Whether a line says something of the person: in a column, as the caller, or in any text of it."""
    if matcher.in_texts and any(places(line, matcher)):
        return True
    needles = matcher.needles()
    if needles and not any(needle in line for needle in needles):
        return False
    try:
        values = msgspec.json.decode(line)
    except UNREADABLE:
        return False
    if not isinstance(values, dict) or values.get("event") in OWN:
        return False
    who = values.get("who")
    if isinstance(who, dict) and matcher.matches(who.get("user")):
        return True
    return is_of(values, matcher, columns) or any(
        _has_tensor(each, matcher, columns) for side in ("inputs", "outputs") for each in _listed(values.get(side))
    )


def erase_lines(path: Path, matcher: Matcher, columns: Collection[str], erasure: str) -> list[Link]:
    """Write a log again without what it says of the person; returns the lines whose content has gone.

    Raises TargetError while others keep its head locked.
    """
    log = path.with_name(path.name.partition(".jsonl")[0] + ".jsonl")
    with _turn(log) as head:
        gone: list[Link] = []
        lines = []
        for line in path.read_bytes().splitlines(keepends=True):
            content = _without_content(line, matcher, columns, erasure)
            if content is not None:
                lines.append(content)
                if linked := read(content.rstrip(b"\n")):
                    gone.append(linked.link)
            else:
                lines.append(line)
        if gone or lines:
            mode = path.stat().st_mode & 0o777
            replace_file(path, b"".join(lines))
            path.chmod(mode)
            if head is not None and path == log:
                _set_size(head, path.stat().st_size)
    return gone


def _without_content(line: bytes, matcher: Matcher, columns: Collection[str], erasure: str) -> bytes | None:
    if not is_about(line, matcher, columns):
        return None
    try:
        values = msgspec.json.decode(line)
    except UNREADABLE:
        values = {}
    kept = {name: values[name] for name in _KEPT_WORDS if isinstance(values, dict) and name in values}
    content = msgspec.json.encode({**kept, "event": ERASED, "erasure": erasure})
    # A line that was torn is none of the chain: nothing of it stays.
    found = erased(line.rstrip(b"\n"), content)
    return (found if found is not None else content) + b"\n"


@contextlib.contextmanager
def _turn(log: Path) -> Iterator[int | None]:
    """The turn to write a log; yields the open head, None for a log without one."""
    head = log.with_name(log.name + HEAD)
    if not head.is_file():
        yield None
        return
    descriptor = os.open(head, os.O_RDWR | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + LOCK_LIMIT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"a server has kept the audit log locked for {LOCK_LIMIT:g} s"
                    raise TargetError(message, where=str(head), hint="try again") from None
                time.sleep(0.02)
        yield descriptor
    finally:
        os.close(descriptor)


def _set_size(head: int, size: int) -> None:
    with contextlib.suppress(*UNREADABLE):
        found = msgspec.json.decode(os.pread(head, HEAD_BYTES, 0), type=Head)
        os.pwrite(head, msgspec.json.encode(replace(found, size=size)).ljust(HEAD_BYTES - 1) + b"\n", 0)


def _has_tensor(tensor: object, matcher: Matcher, columns: Collection[str]) -> bool:
    if not isinstance(tensor, dict) or tensor.get("name") not in columns:
        return False
    return any(matcher.matches(each) for each in _listed(tensor.get("data")))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
