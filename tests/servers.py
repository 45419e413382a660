"""Real servers that tests talk to, as processes of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.build.cache import folder_of
from lab.build.components import BY_NAME
from plimsoll.registry.references import Reference, parse_reference

SETTINGS = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{{storage}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
{more}
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def registry_program() -> str:
    """The lab's registry, or Debian's; the test is skipped without either."""
    built = folder_of(BY_NAME["registry"]) / "registry"
    found = str(built) if built.exists() else shutil.which("docker-registry") or shutil.which("registry")
    if found is None:
        pytest.skip("needs a registry: python -m lab.build registry, or apt-get install docker-registry")
    return found


@contextlib.contextmanager
def registry(directory: Path, more: str = "", *, in_memory: bool = False) -> Iterator[Reference]:
    """A registry over plain HTTP; gives a repository in it. What it stores lies in `directory/data`, or in memory."""
    program, port = registry_program(), free_port()
    settings = directory / "registry.yaml"
    storage = "inmemory: {}" if in_memory else f"filesystem: {{rootdirectory: {directory / 'data'}}}"
    settings.write_text(SETTINGS.format(storage=storage, port=port, more=more))
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(settings)], stdout=log, stderr=log)
    try:
        wait_for_port(port, process)
        yield parse_reference(f"127.0.0.1:{port}/team/application")
    finally:
        process.kill()
        process.wait()


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.02)


class CuttingProxy:
    """A TCP relay that closes both sides after so many bytes of one direction, once for each number of `cuts`."""

    def __init__(self, port: int, *, up: list[int] | None = None, down: list[int] | None = None, at: int = 0) -> None:
        self.target = port
        self.cuts = {"up": up or [], "down": down or []}
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", at))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # A blocked accept is not woken by a close, but by a shutdown.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                for source, sink, way in ((near, far, "up"), (far, near, "down")):
                    threading.Thread(target=self._relay, args=(source, sink, way), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, way: str) -> None:
        try:
            while piece := source.recv(1 << 16):
                with self.lock:
                    cuts = self.cuts[way]
                    if cuts:
                        cuts[0] -= len(piece)
                    cut = bool(cuts) and cuts[0] <= 0
                    if cut:
                        cuts.pop(0)
                if cut:
                    break
                sink.sendall(piece)
        except OSError:
            pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        sink.close()


@contextlib.contextmanager
def object_store(directory: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """MinIO with an empty bucket `data`; gives its port and the variables by which S3 clients find it."""
    program = folder_of(BY_NAME["minio"]) / "minio"
    if not program.exists():
        pytest.skip("needs MinIO: python -m lab.build minio")
    port = free_port()
    # A folder is a bucket, says MinIO of its file system back end.
    (directory / "data").mkdir(parents=True)
    keys = {"MINIO_ROOT_USER": "tests", "MINIO_ROOT_PASSWORD": "tests-secret"}
    command = [str(program), "server", str(directory), "--address", f"127.0.0.1:{port}", "--quiet"]
    with (directory / "minio.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **keys}, stdout=log, stderr=log)
    try:
        wait_for_port(port, process)
        yield (
            port,
            {
                "AWS_ACCESS_KEY_ID": "tests",
                "AWS_SECRET_ACCESS_KEY": "tests-secret",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                "AWS_REGION": "us-east-1",
            },
        )
    finally:
        process.kill()
        process.wait()


def left_in(directory: Path) -> list[str]:
    """The processes that have a directory as their own, once those that were killed have had time to go."""
    until = time.monotonic() + 20
    while True:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if process.joinpath("cwd").readlink() == directory:
                    found.append(process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode())
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.1)
