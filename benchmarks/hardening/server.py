"""The server under attack: started, watched for defects and memory, started again when it ends."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.hardening.findings import Findings
from benchmarks.hardening.models import repository
from benchmarks.servers import Running

SIGNS = (b"this is a defect", b"Traceback (most recent call last)", b"Segmentation fault", b"Fatal Python error")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Attacked:
    """A server with the models of `models`, on HTTP and gRPC."""

    def __init__(self, directory: Path, findings: Findings) -> None:
        self._directory = directory
        self._findings = findings
        self._models = repository(directory / "models")
        self._read = 0
        self.peak = 0.0
        """Megabytes of resident memory at most, of any server so far."""
        self.port, self.grpc_port = free_port(), free_port()
        self.running = self._started()

    def _started(self) -> Running:
        argv = [sys.executable, "-m", "plimsoll.runtime.server", "--repository", str(self._models)]
        argv += ["--port", str(self.port), "--grpc-port", str(self.grpc_port)]
        argv += ["--observer", "plimsoll.telemetry.service:watch"]
        self._read = 0
        running = Running(argv, self.port, {}, self._directory)
        running.until_live()
        return running

    def check(self, area: str, recent: bytes) -> None:
        """Add a finding when the server has ended or has written of a defect; `recent` is what was sent last."""
        ended = self.running.process.poll()
        self.peak = max(self.peak, _most(self.running.process.pid))
        content = self.running.log.read_bytes()
        news, self._read = content[self._read :], len(content)
        if any(sign in news for sign in SIGNS):
            self._findings.add(area, f"the server writes of a defect: {_last_line(news)}", recent)
        if ended is not None:
            self._findings.add(area, f"the server ended with {ended}", recent)
            self.running = self._started()
        elif not self._lives():
            self._findings.add(area, "the server does not answer any more", recent)
            self.running.stop()
            self.running = self._started()

    def _lives(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.running.url}/v2/health/live", timeout=20):
            return True
        return False


def _most(pid: int) -> float:
    """Megabytes of memory that a process has had at most; 0 for one that has ended."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1000 if found else 0.0
    return 0.0


def _last_line(news: bytes) -> str:
    lines = [line for line in news.decode(errors="replace").splitlines() if line and not line.startswith(" ")]
    return lines[-1][:160] if lines else ""


@contextlib.contextmanager
def attacked(directory: Path, findings: Findings) -> Iterator[Attacked]:
    """The server, which is ended with the block."""
    server = Attacked(directory, findings)
    try:
        yield server
    finally:
        server.running.stop()
