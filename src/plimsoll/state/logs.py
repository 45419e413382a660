"""What processes wrote: every process of an attempt has one file for its output and its errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct


class LogFile(Struct, frozen=True, kw_only=True):
    """One file of output. `process` is a rank, or a name such as `rendezvous`."""

    step: str
    attempt: int
    process: str
    path: Path


def log_files(logs: Path) -> Iterator[LogFile]:
    """Every log of a run, by step, attempt and rank."""
    found = []
    for path in logs.rglob("*.log"):
        attempt, _, process = path.stem.partition("-")
        step = path.parent.relative_to(logs).as_posix()
        found.append(LogFile(step=step, attempt=int(attempt), process=process, path=path))
    yield from sorted(found, key=lambda log: (log.step, log.attempt, log.process.zfill(6)))


def last_words(log: Path, limit: int = 300) -> str:
    """The last line that a process wrote, for a reason; at most `limit` characters."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:limit] if said else ""
