"""A server with encrypted connections, which knows its callers by their certificates: over HTTP and gRPC."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import httpx
import pytest

from plimsoll.runtime.server.protocol import SERVICE, calls
from tests.authority import NOW, Authority
from tests.runtime.conftest import Server, linear_model, until
from tests.runtime.inference_requests import GOOD, INFER

CALLS = calls()
SHOP, LABELS = "spiffe://bank/shop", "labels.bank"


class Encrypted(Server):
    """A server with a certificate and an authority of clients; `said` is what it has written to its log."""

    def __init__(self, directory: Path) -> None:
        self.root = Authority(directory / "ca", "bank")
        self.other = Authority(directory / "other", "elsewhere")
        self.certificate, self.key = self.root.issue("server", "models.bank", "127.0.0.1", client=False)
        self.revoked = self.root.revoke(directory / "revoked.pem")
        self.clients = Path(shutil.copy(self.root.path, directory / "clients.pem"))
        self.shop = self.root.issue("shop", SHOP)
        tls = {
            "certificate": str(self.certificate),
            "key": str(self.key),
            "clients": str(self.clients),
            "revoked": str(self.revoked),
        }
        auth = {"certificates": {SHOP: ["infer"], LABELS: ["feedback", "metrics"]}}
        options = ("--grpc-port", "0", "--tls", json.dumps(tls), "--auth", json.dumps(auth))
        super().__init__(linear_model(directory / "model.onnx"), directory, *options)
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            self.lines.append(line.decode())

    def said(self, words: str) -> bool:
        return any(words in line for line in list(self.lines))

    def context(self, pair: tuple[Path, Path] | None, trusted: Path | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(trusted or self.root.path))
        if pair is not None:
            context.load_cert_chain(*pair)
        return context

    @contextlib.contextmanager
    def calling(self, pair: tuple[Path, Path] | None) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.url, timeout=30, verify=self.context(pair)) as client:
            yield client

    def status(self, pair: tuple[Path, Path] | None, path: str = "/v2") -> int:
        with self.calling(pair) as client:
            return client.get(path).status_code

    def rejects(self, pair: tuple[Path, Path]) -> str:
        """The client's words for a handshake that failed."""
        address = httpx.URL(self.url)
        with socket.create_connection((address.host, address.port or 0), timeout=30) as plain:
            context = self.context(pair)
            with pytest.raises(ssl.SSLError) as raised, context.wrap_socket(plain, server_hostname="127.0.0.1") as made:
                made.sendall(b"GET /v2 HTTP/1.1\r\nhost: x\r\n\r\n")
                made.recv(1)
            return str(raised.value)


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    server = Encrypted(tmp_path_factory.mktemp("encrypted"))
    yield server
    assert server.stop() == 0


def test_a_caller_is_known_by_the_name_in_its_certificate_and_may_what_the_file_says(encrypted: Encrypted) -> None:
    labels = encrypted.root.issue("labels", LABELS)
    with encrypted.calling(encrypted.shop) as client:
        assert client.post(INFER, json=GOOD).status_code == 200
        refused = client.get("/metrics")
    assert refused.status_code == 403
    assert "the roles of the caller are: infer" in refused.json()["error"]
    assert encrypted.status(labels, "/metrics") == 200


def test_one_that_the_file_does_not_name_is_known_and_may_nothing(encrypted: Encrypted) -> None:
    stranger = encrypted.root.issue("stranger", "spiffe://bank/shop2")
    with encrypted.calling(stranger) as client:
        answer = client.post(INFER, json=GOOD)
    assert (answer.status_code, "the roles of the caller are: none" in answer.text) == (403, True)


def test_without_a_certificate_health_alone_is_answered(encrypted: Encrypted) -> None:
    assert encrypted.status(None, "/v2/health/ready") == 200
    with encrypted.calling(None) as client:
        answer = client.post(INFER, json=GOOD)
    assert answer.status_code == 401
    assert "show a certificate" in answer.json()["error"]


def test_the_token_of_the_administrator_opens_a_connection_without_a_certificate(encrypted: Encrypted) -> None:
    token = {"authorization": encrypted.client.headers["authorization"]}
    with encrypted.calling(None) as client:
        assert client.get("/metrics", headers=token).status_code == 200
    with encrypted.calling(encrypted.shop) as client:
        # What is sent with a request counts, and not what the connection would be worth.
        assert client.get("/v2", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_certificates_that_are_not_good_get_an_alert_and_a_line_in_the_log(encrypted: Encrypted) -> None:
    old = encrypted.root.issue("old", SHOP, ends=NOW - timedelta(minutes=1))
    early = encrypted.root.issue("early", SHOP, begins=NOW + timedelta(days=1))
    servers = encrypted.root.issue("a-server", SHOP, client=False)
    foreign = encrypted.other.issue("foreign", SHOP)
    for pair, words, line in (
        (old, "expired", "its certificate is not good: certificate has expired"),
        (foreign, "unknown ca", "its certificate is of no authority in clients"),
        (early, "bad certificate", "its certificate is not good: certificate is not yet valid"),
        (servers, "unsupported certificate", "its certificate is not good: unsuitable certificate purpose"),
    ):
        assert words in encrypted.rejects(pair).replace("_", " ").lower()
        # Strangers cause these lines, so that there is one in a second.
        until(lambda line=line, pair=pair: encrypted.said(line) or not encrypted.rejects(pair), 20)  # type: ignore[misc]


def test_plain_http_is_told_in_the_log(encrypted: Encrypted) -> None:
    address = httpx.URL(encrypted.url)

    def asked() -> bool:
        with socket.create_connection((address.host, address.port or 0), timeout=30) as plain:
            plain.sendall(b"GET /v2 HTTP/1.1\r\nhost: x\r\n\r\n")
            plain.recv(100)
        return encrypted.said("it speaks no TLS")

    until(asked, 20)


def test_a_revoked_certificate_is_refused_on_open_connections_and_on_new_ones(encrypted: Encrypted) -> None:
    leaver = encrypted.root.issue("leaver", SHOP)
    with encrypted.calling(leaver) as client:
        assert client.get("/v2").status_code == 200
        encrypted.root.revoke(encrypted.revoked, [leaver[0]])
        until(lambda: client.get("/v2").status_code == 401, 20)
        assert "revoked" in client.get("/v2").json()["error"]
    assert "revoked" in encrypted.rejects(leaver)
    assert called(encrypted, "ServerMetadata", leaver) is grpc.StatusCode.UNAUTHENTICATED
    assert encrypted.status(encrypted.shop) == 200
    encrypted.root.revoke(encrypted.revoked)


def test_a_new_certificate_is_shown_to_new_connections_and_no_request_is_lost(encrypted: Encrypted) -> None:
    def serial() -> int:
        address = httpx.URL(encrypted.url)
        with socket.create_connection((address.host, address.port or 0), timeout=30) as plain:
            context = encrypted.context(None)
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as made:
                found = made.getpeercert() or {}
        return int(str(found["serialNumber"]), 16)

    before, statuses, ending = serial(), [], threading.Event()

    def ask() -> None:
        with encrypted.calling(encrypted.shop) as kept:
            while not ending.is_set():
                statuses.append(kept.post(INFER, json=GOOD).status_code)
                statuses.append(encrypted.status(encrypted.shop))

    asking = threading.Thread(target=ask)
    asking.start()
    fresh = encrypted.root.issue("server-2", "models.bank", "127.0.0.1", client=False)
    # Between the two, the certificate and the key do not belong together.
    encrypted.certificate.write_bytes(fresh[0].read_bytes())
    until(lambda: encrypted.said("this is not the key of"), 20)
    assert serial() == before
    encrypted.key.write_bytes(fresh[1].read_bytes())
    until(lambda: serial() != before, 20)
    ending.set()
    asking.join(30)
    assert set(statuses) == {200}


def test_an_authority_that_is_not_named_any_more_ends_what_it_has_opened(encrypted: Encrypted) -> None:
    guest = encrypted.other.issue("guest", SHOP)
    own = encrypted.clients.read_bytes()
    encrypted.revoked.write_bytes(
        encrypted.revoked.read_bytes() + encrypted.other.revoke(encrypted.other.directory / "none.pem").read_bytes()
    )
    encrypted.clients.write_bytes(own + encrypted.other.path.read_bytes())
    until(lambda: _works(encrypted, guest), 20)
    with encrypted.calling(guest) as client, encrypted.calling(encrypted.shop) as kept:
        assert (client.get("/v2").status_code, kept.get("/v2").status_code) == (200, 200)
        encrypted.root.revoke(encrypted.revoked)
        encrypted.clients.write_bytes(own)
        until(lambda: client.get("/v2").status_code == 401, 20)
        assert kept.get("/v2").status_code == 200
    assert called(encrypted, "ServerMetadata", encrypted.shop) is None


def _works(server: Encrypted, pair: tuple[Path, Path]) -> bool:
    try:
        return server.status(pair) == 200
    except httpx.TransportError:
        return False


def called(server: Encrypted, name: str, pair: tuple[Path, Path] | None) -> grpc.StatusCode | None:
    """The status of a call over gRPC that was refused; None for one that was answered."""
    request, response = CALLS[name]
    shown = (pair[1].read_bytes(), pair[0].read_bytes()) if pair is not None else (None, None)
    credentials = grpc.ssl_channel_credentials(server.root.path.read_bytes(), *shown)
    with grpc.secure_channel(server.grpc, credentials) as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        try:
            call(request(), timeout=20)
        except grpc.RpcError as error:
            return error.code()
    return None


def test_grpc_asks_for_the_same_certificates(encrypted: Encrypted) -> None:
    assert called(encrypted, "ServerMetadata", encrypted.shop) is None
    assert called(encrypted, "ServerMetadata", None) is grpc.StatusCode.UNAVAILABLE
    assert called(encrypted, "ServerMetadata", encrypted.other.issue("foreign", SHOP)) is grpc.StatusCode.UNAVAILABLE
    stranger = encrypted.root.issue("stranger", "spiffe://bank/other")
    assert called(encrypted, "ServerMetadata", stranger) is grpc.StatusCode.PERMISSION_DENIED
    old = encrypted.root.issue("old", SHOP, ends=NOW - timedelta(minutes=1))
    assert called(encrypted, "ServerMetadata", old) is grpc.StatusCode.UNAVAILABLE


def test_many_bytes_go_both_ways(encrypted: Encrypted) -> None:
    rows = 40_000
    data = [0.5] * (2 * rows)
    request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [rows, 2], "data": data}]}
    with encrypted.calling(encrypted.shop) as client:
        answer = client.post(INFER, json=request)
        large = client.post("/v2/models/m/infer", content=b"x" * (70 << 20))
    assert answer.status_code == 200
    assert len(answer.json()["outputs"][0]["data"]) == rows
    assert large.status_code == 413


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--grpc-port", "0", "--only-host", "models.bank"], "does not answer gRPC"),
        (["--auth", '{"certificates": {"a": ["infer"]}}'], "names neither tokens nor jwt"),
        (["--tls", '{"certificate": "a.pem"}'], "--tls is not what a server takes"),
        (["--tls", '{"certificate": "a.pem", "key": "b.pem"}'], "a.pem: the certificate cannot be read"),
        (["--tls", '{"certificate": "a", "key": "b", "revoked": "c"}'], "no authority in clients"),
    ],
)
def test_a_server_that_cannot_keep_its_word_does_not_start(tmp_path: Path, options: list[str], words: str) -> None:
    model = linear_model(tmp_path / "model.onnx")
    argv = [sys.executable, "-m", "plimsoll.runtime.server", "--name", "m", "--model", str(model), *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=50, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
