"""Which calls of a real server have a line in its audit log."""

from __future__ import annotations

import collections
import os
import signal
import socket
import urllib.parse
from pathlib import Path

import httpx
import pytest

from plimsoll.audit.files import files_of, lines_of
from plimsoll.audit.query import Query, calls_in
from plimsoll.audit.reading import verify_files
from plimsoll.signing.checkpoints import prepare_key
from plimsoll.signing.keys import KeyRing
from tests.runtime.conftest import Server, linear_model


class Audited(Server):
    """A server of several processes with an audit log of its own."""

    def __init__(self, directory: Path) -> None:
        self.log, self.keys = directory / "triage/audit.jsonl", directory / "keys"
        self.log.parent.mkdir(exist_ok=True)
        prepare_key(self.keys, "triage", KeyRing.default())
        settings = f'{{"audit_log": "{self.log}", "audit_key": "{self.keys}"}}'
        observer = f"plimsoll.telemetry.service:watch={settings}"
        super().__init__(linear_model(directory / "model.onnx"), directory, "--observer", observer)

    def __enter__(self) -> Audited:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def statuses(self) -> collections.Counter[tuple[str, int]]:
        """Events and statuses of all calls."""
        found = calls_in(lines_of(files_of(self.log)), Query())
        return collections.Counter((str(call.values["event"]), call.status) for call in found)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def raw(server: Server, content: bytes, *, read: bool = True) -> None:
    """Send bytes as they are, and read until the server closes."""
    address = urllib.parse.urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(content)
        while read and connection.recv(65536):
            pass


@pytest.mark.slow
def test_every_call_has_a_line_also_refused_and_unreadable_ones(directory: Path) -> None:
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
    with Audited(directory) as server:
        client = httpx.Client(base_url=server.url, timeout=30)
        for _ in range(20):
            assert client.post("/v2/models/m/infer", json=body).status_code == 200
        assert client.post("/v2/models/m/infer", content=b"{").status_code == 400
        assert client.post("/v2/models/none/infer", json=body).status_code == 404
        assert client.post("/v2/repository/models/m/load").status_code == 403
        assert client.get("/v2/models/m/infer").status_code == 405
        assert client.get("/nowhere").status_code == 404
        assert client.get("/v2/models/m").status_code == 200
        assert client.get("/v2/health/ready").status_code == 200
        assert client.get("/metrics").status_code == 200
        raw(server, b"NO HTTP\r\n\r\n")
        raw(server, b"POST /v2/models/m/infer HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999\r\n\r\n")
        raw(server, b"POST /v2/models/m/infer HTTP/1.1\r\nhost: h\r\ncontent-length: 900\r\n\r\n{", read=False)
        client.close()
    assert server.statuses() == {
        ("inference", 200): 20,
        ("inference", 400): 1,
        ("inference", 404): 1,
        ("inference", 413): 1,
        ("load", 403): 1,
        ("call", 405): 1,
        ("call", 404): 1,
        ("call", 200): 1,
        ("call", 400): 1,
        ("call", 499): 1,
    }
    verified = verify_files(files_of(server.log), "triage", server.keys)
    assert verified.findings == []
    assert verified.signed == verified.lines


@pytest.mark.slow
def test_a_server_that_is_killed_leaves_a_log_that_the_next_one_goes_on_with(directory: Path) -> None:
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
    for _ in range(2):
        with Audited(directory) as server:
            for _ in range(30):
                assert httpx.post(f"{server.url}/v2/models/m/infer", json=body, timeout=30).status_code == 200
            os.kill(server.process.pid, signal.SIGKILL)
    verified = verify_files(files_of(server.log), "triage", server.keys)
    assert verified.findings == []
    assert verified.calls >= 30
