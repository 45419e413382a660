"""A Milvus for tests: Milvus Lite as a process of the test, which speaks the protocol of a server."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import free_port


class MilvusLite:
    """One server on a port of this machine. `stop` ends it at once and `start` has it go on with what it had."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = "import sys; from milvus_lite.cmdline import main; sys.exit(main())"
        argv = [sys.executable, "-c", program, "server", "--host", "127.0.0.1", "--port", str(self.port)]
        with (self._directory / "milvus.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*argv, "--data-dir", str(self._directory / "data")], stdout=log, stderr=log, cwd=self._directory
            )
        self._wait_until_it_listens(self._process)

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes]) -> None:
        """Its libraries take long to import on a busy machine."""
        deadline = time.monotonic() + 180
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            log = self._directory / "milvus.log"
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, as its machine would end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None


@contextlib.contextmanager
def running_milvus(directory: Path) -> Iterator[MilvusLite]:
    """A server for some tests; they are skipped without the library."""
    for module in ("milvus_lite", "pymilvus"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    server = MilvusLite(directory)
    try:
        server.start()
        yield server
    finally:
        server.stop()
