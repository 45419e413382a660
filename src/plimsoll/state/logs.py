"""Log files: every process of an attempt has one file for its standard output and standard error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

KEPT_LOG = "server.log"


class LogFile(Struct, frozen=True, kw_only=True):
    """One log file. `process` is a rank, or a name such as `rendezvous`."""

    step: str
    attempt: int
    process: str
    path: Path


def log_files(logs: Path) -> Iterator[LogFile]:
    """Every log of a run, sorted by step, attempt and rank."""
    found = []
    for path in logs.rglob("*.log"):
        attempt, _, process = path.stem.partition("-")
        step = path.parent.relative_to(logs).as_posix()
        found.append(LogFile(step=step, attempt=int(attempt), process=process, path=path))
    yield from sorted(found, key=lambda log: (log.step, log.attempt, log.process.zfill(6)))


def kept_logs(services: Path) -> Iterator[LogFile]:
    """The logs of servers that are kept up apart from runs, in the directory of the services' logs."""
    for path in sorted(services.glob(f"*/{KEPT_LOG}")):
        yield LogFile(step=f"serve/{path.parent.name}", attempt=0, process="kept", path=path)


def last_log_line(log: Path, limit: int = 300) -> str:
    """The last line of a log that is not blank, cut to `limit` characters; empty without one."""
    written = [line.strip() for line in last_log_lines(log).splitlines() if line.strip()]
    return written[-1][:limit] if written else ""


def last_log_lines(log: Path) -> str:
    """The end of a log, some thousand characters; empty without one."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4096))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
