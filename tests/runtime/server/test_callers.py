"""A server that asks its callers who they are: over HTTP, gRPC and the OpenAI API."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from plimsoll.runtime.server.identities import token_file
from plimsoll.runtime.server.protocol import SERVICE, calls
from tests.runtime.conftest import Server, linear_model, until
from tests.runtime.inference_requests import GOOD, INFER

CALLS = calls()
MEMORY = 16 << 20
"""Bytes of the requests of one caller."""


class Guarded(Server):
    """A server with tokens; `tokens` has one for each role by its name."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "tokens.json"
        self.tokens = {
            role: token_file.create(self.file, role, (role,), None)
            for role in ("infer", "feedback", "metrics", "admin")
        }
        auth = {"tokens": str(self.file), "limits": {"memory": MEMORY}}
        self.plain = httpx.Client(timeout=30)
        super().__init__(
            linear_model(directory / "model.onnx"), directory, "--grpc-port", "0", "--auth", json.dumps(auth)
        )

    def asked(self, method: str, path: str, token: str | None, **more: object) -> httpx.Response:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return self.plain.request(method, self.url + path, headers=headers, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    server = Guarded(tmp_path_factory.mktemp("guarded"))
    yield server
    server.plain.close()
    assert server.stop() == 0


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready"])
def test_probes_of_health_need_no_token(guarded: Guarded, path: str) -> None:
    assert guarded.asked("GET", path, None).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", INFER),
        ("GET", "/"),
        ("GET", "/v2"),
        ("GET", "/v2/models/m"),
        ("GET", "/v2/models/m/ready"),
        ("POST", "/v2/repository/index"),
        ("POST", "/v2/repository/models/m/unload"),
        ("GET", "/metrics"),
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v2/indexes/m/search"),
        ("GET", "/nothing"),
        ("DELETE", "/v2/health/live"),
    ],
)
def test_everything_else_is_for_known_callers(guarded: Guarded, method: str, path: str) -> None:
    for token in (None, "plimsoll_guess", "ü", "x" * 20_000):
        raw = [] if token is None else [(b"authorization", b"Bearer " + token.encode())]
        answer = guarded.plain.request(method, guarded.url + path, headers=raw, json=GOOD if method == "POST" else None)
        assert answer.status_code == 401, (path, token, answer.text)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "m" not in answer.json().get("models", [])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", INFER, {"infer", "admin"}),
        ("GET", "/metrics", {"metrics", "admin"}),
        ("POST", "/v2/repository/models/m/load", {"admin"}),
    ],
)
def test_a_caller_may_do_what_its_roles_say(guarded: Guarded, method: str, path: str, allowed: set[str]) -> None:
    for role, token in guarded.tokens.items():
        answer = guarded.asked(method, path, token, json=GOOD if path == INFER else None)
        assert answer.status_code == (200 if role in allowed else 403), (role, path, answer.text)


def test_the_administrators_token_goes_on_working(guarded: Guarded) -> None:
    assert guarded.client.post(INFER, json=GOOD).status_code == 200
    assert guarded.client.post("/v2/repository/models/m/load").status_code == 200


def test_one_connection_may_carry_several_callers_and_none_inherits_from_another(guarded: Guarded) -> None:
    with httpx.Client(base_url=guarded.url, timeout=30) as client:
        known = {"authorization": f"Bearer {guarded.tokens['infer']}"}
        assert [client.post(INFER, json=GOOD, headers=each).status_code for each in (known, {}, known, {})] == [
            200,
            401,
            200,
            401,
        ]
        admin = {"authorization": f"Bearer {guarded.tokens['admin']}"}
        paths = [("/v2/repository/models/m/load", admin), ("/v2/repository/models/m/load", known)]
        assert [client.post(path, headers=headers).status_code for path, headers in paths] == [200, 403]


def test_the_long_body_of_a_stranger_is_not_received(guarded: Guarded) -> None:
    head = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 50000000\r\n\r\n" % INFER.encode()
    assert guarded.ask(head).startswith(b"HTTP/1.1 401 ")


def test_grpc_asks_the_same(guarded: Guarded) -> None:
    def called(name: str, token: str | None) -> grpc.StatusCode | None:
        request, response = CALLS[name]
        with grpc.insecure_channel(guarded.grpc) as channel:
            call = channel.unary_unary(
                f"/{SERVICE}/{name}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
            metadata = [] if token is None else [("authorization", f"Bearer {token}")]
            message = request(model_name="m") if name.startswith("Repository") else request()
            try:
                call(message, metadata=metadata, timeout=20)
            except grpc.RpcError as error:
                return error.code()
        return None

    assert called("ServerLive", None) is None
    assert called("ServerReady", None) is None
    for name in ("ServerMetadata", "ModelInfer", "RepositoryModelLoad"):
        assert called(name, None) is grpc.StatusCode.UNAUTHENTICATED
        assert called(name, "plimsoll_guess") is grpc.StatusCode.UNAUTHENTICATED
    assert called("RepositoryModelLoad", guarded.tokens["infer"]) is grpc.StatusCode.PERMISSION_DENIED
    assert called("RepositoryModelLoad", guarded.tokens["admin"]) is None
    assert called("ServerMetadata", guarded.tokens["infer"]) is None


def test_tokens_come_and_go_while_the_server_runs_and_a_broken_file_changes_nothing(guarded: Guarded) -> None:
    token = token_file.create(guarded.file, "shop", ("infer",), None)
    until(lambda: guarded.asked("GET", "/v2", token).status_code == 200, 20)
    good = guarded.file.read_bytes()
    guarded.file.write_bytes(good[:-20])
    until(lambda: guarded.file.stat().st_size > 0, 1)
    assert guarded.asked("GET", "/v2", token).status_code == 200
    guarded.file.write_bytes(good)
    token_file.revoke(guarded.file, "shop")
    until(lambda: guarded.asked("GET", "/v2", token).status_code == 401, 20)
    assert guarded.asked("GET", "/v2", guarded.tokens["infer"]).status_code == 200


def test_one_caller_who_sends_much_slowly_takes_no_memory_of_others(guarded: Guarded) -> None:
    def begun(token: str) -> socket.socket:
        head = (
            f"POST {INFER} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: {12 << 20}\r\n\r\n"
        )
        connection = guarded.connect()
        connection.sendall(head.encode() + b" " * (10 << 20))
        return connection

    with begun(guarded.tokens["infer"]), begun(guarded.tokens["infer"]) as second:
        assert second.recv(65536).startswith(b"HTTP/1.1 429 ")
        # Another caller has all of its own, and small requests of the first are answered.
        answer = guarded.asked("POST", INFER, guarded.tokens["admin"], json=GOOD)
        assert answer.status_code == 200
    until(lambda: guarded.asked("POST", INFER, guarded.tokens["infer"], json=GOOD).status_code == 200)
    large = guarded.asked("POST", INFER, guarded.tokens["infer"], content=b" " * (MEMORY + 1))
    assert large.status_code == 413
