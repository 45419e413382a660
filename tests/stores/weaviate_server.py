"""A Weaviate for tests: the program that the lab builds, as a process of the test."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lab.build.cache import folder_of, is_built
from lab.build.components import BY_NAME
from tests.servers import free_port

KEY = "weaviate-key-0123456789"
READER = "weaviate-reader-0123456789"


class WeaviateServer:
    """One node on ports of this machine. `stop` ends it at once and `start` has it go on with what it had."""

    def __init__(self, directory: Path, *, keys: bool = False) -> None:
        self._directory = directory
        self._keys = keys
        self.port, self.grpc_port = free_port(), free_port()
        # A node finds itself and others by the port after the one that it knows, without which it elects no leader.
        gossip, raft = _two_ports(), _two_ports()
        self._inner = {
            "CLUSTER_GOSSIP_BIND_PORT": str(gossip),
            "CLUSTER_DATA_BIND_PORT": str(gossip + 1),
            "RAFT_PORT": str(raft),
            "RAFT_INTERNAL_RPC_PORT": str(raft + 1),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self.port}"
        self.grpc = f"http://127.0.0.1:{self.grpc_port}"

    def start(self) -> None:
        argv = [
            str(folder_of(BY_NAME["weaviate"]) / "weaviate-server"),
            "--scheme=http",
            "--host=127.0.0.1",
            f"--port={self.port}",
        ]
        with (self._directory / "weaviate.log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, env=self._environment(), cwd=self._directory)
        self._wait_until_it_is_ready(self._process)

    def _environment(self) -> dict[str, str]:
        access = (
            {
                "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
                "AUTHENTICATION_APIKEY_ENABLED": "true",
                "AUTHENTICATION_APIKEY_ALLOWED_KEYS": f"{KEY},{READER}",
                "AUTHENTICATION_APIKEY_USERS": "owner,reader",
                "AUTHORIZATION_ADMINLIST_ENABLED": "true",
                "AUTHORIZATION_ADMINLIST_USERS": "owner",
                "AUTHORIZATION_ADMINLIST_READONLY_USERS": "reader",
            }
            if self._keys
            else {"AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true"}
        )
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._directory),
            "PERSISTENCE_DATA_PATH": str(self._directory / "data"),
            "DEFAULT_VECTORIZER_MODULE": "none",
            "GRPC_PORT": str(self.grpc_port),
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
            "CLUSTER_IN_LOCALHOST": "true",
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "DISABLE_TELEMETRY": "true",
            "LOG_LEVEL": "warning",
            "GOMEMLIMIT": "512MiB",
            **self._inner,
            **access,
        }

    def _wait_until_it_is_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/v1/.well-known/ready", timeout=2).status_code == 200:
                    return
            log = self._directory / "weaviate.log"
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, f"the server is not ready: {log.read_text()[-1000:]}"
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, as its machine would end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None


def _two_ports() -> int:
    """The first of two free ports that follow each other."""
    while True:
        first = free_port()
        with contextlib.suppress(OSError), socket.socket() as taken:
            taken.bind(("127.0.0.1", first + 1))
            return first


@contextlib.contextmanager
def running_weaviate(directory: Path, *, keys: bool = False) -> Iterator[WeaviateServer]:
    """A server for some tests; they are skipped where it is not built."""
    if not is_built(BY_NAME["weaviate"]):
        pytest.skip("needs Weaviate: python -m lab.build weaviate")
    server = WeaviateServer(directory, keys=keys)
    try:
        server.start()
        yield server
    finally:
        server.stop()
