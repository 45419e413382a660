"""Somebody else's service behind ours: what reaches it, what comes back, and that its key is written nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from plimsoll.errors import TargetError
from plimsoll.llms.endpoint import EndpointUpstream
from plimsoll.llms.settings import EndpointSettings, LlmSettings
from plimsoll.llms.upstream import UpstreamGone
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from tests.llms.endpoint import Endpoint, endpoint
from tests.runtime.conftest import Server

KEY = "sk-very-secret-0815"
SAY = [{"role": "user", "content": "hi"}]
CHAT = {"model": "other", "messages": SAY}


@pytest.fixture(scope="module")
def there() -> Iterator[Endpoint]:
    with endpoint() as told:
        yield told


@pytest.fixture(scope="module")
def server(there: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("endpoint")
    settings = LlmSettings(
        engine="endpoint", tokens=50, endpoint=EndpointSettings(url=there.url, model="big", key="TEST_OF_AN_LLM_KEY")
    )
    file = ModelFile(name="other", version="1", digest="sha256:d", llm=settings)
    service = directory / "service.json"
    service.write_bytes(msgspec.json.encode(ServiceFile(models=(file,))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_OF_AN_LLM_KEY", KEY)
        up = Server(None, directory, "--service", str(service))
    yield up
    assert up.stop() == 0


@pytest.fixture(autouse=True)
def as_ever(there: Endpoint) -> None:
    there.status, there.error, there.cut = 200, "", False
    there.asked.clear()


def test_a_request_reaches_the_endpoint_with_its_model_and_key(server: Server, there: Endpoint) -> None:
    answer = server.client.post("/v1/chat/completions", json={**CHAT, "user": "me"}).json()
    assert answer["choices"][0]["message"]["content"] == "one two three"
    ((path, headers, body),) = there.asked
    assert (path, headers["authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert (body["model"], body["user"], body["max_tokens"]) == ("big", "me", 50)
    assert "admin" not in str(headers)


def test_who_is_to_read_a_question_reaches_what_stands_beside_the_server_and_no_other_header_does(
    there: Endpoint, tmp_path: Path
) -> None:
    beside = EndpointSettings(url=there.url, model="other", passes=("x-prefiller-host-port",))
    file = ModelFile(name="other", version="1", digest="sha256:d", llm=LlmSettings(engine="vllm", endpoint=beside))
    (tmp_path / "service.json").write_bytes(msgspec.json.encode(ServiceFile(models=(file,))))
    up = Server(None, tmp_path, "--service", str(tmp_path / "service.json"))
    try:
        for value in ("10.0.0.7:8080", "10.0.0.7:8080, 10.0.0.8:8080", "a b"):
            sent = {"X-Prefiller-Host-Port": value, "X-Other": "1"}
            assert up.client.post("/v1/chat/completions", json=CHAT, headers=sent).status_code == 200
    finally:
        up.stop()
    found = [headers for _, headers, _ in there.asked]
    assert [each.get("x-prefiller-host-port") for each in found] == ["10.0.0.7:8080", None, None]
    assert not [each for each in found if "x-other" in each]


def test_a_stream_comes_as_it_is_without_the_usage_that_nobody_asked_for(server: Server) -> None:
    text = server.client.post("/v1/chat/completions", json={**CHAT, "stream": True}).text
    assert [word for word in ("one", "two", "three", "[DONE]") if word in text] == ["one", "two", "three", "[DONE]"]
    assert "usage" not in text
    assert server.metric('plimsoll_llm_tokens_total{model="other",type="output"') >= 3


def test_an_endpoint_hears_when_a_client_leaves(server: Server, there: Endpoint) -> None:
    there.hold.clear()
    there.left.clear()
    with server.client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as stream:
        next(stream.iter_lines())
    assert there.left.wait(30)
    there.hold.set()


def test_a_stream_that_breaks_off_ends_with_an_error(server: Server, there: Endpoint) -> None:
    there.cut = True
    text = server.client.post("/v1/chat/completions", json={**CHAT, "stream": True}).text
    *_, last = text.strip().split("\n\n")
    error = json.loads(last.removeprefix("data: "))["error"]
    assert "in the middle of its answer" in error["message"]


@pytest.mark.parametrize(
    ("status", "said", "expected", "words"),
    [
        (401, f"Incorrect API key provided: {KEY}", 502, "refuses the key"),
        (429, "slow down", 429, "slow down"),
        (400, "no such voice", 400, "no such voice"),
        (503, "<overloaded>", 502, "overloaded"),
    ],
)
def test_what_an_endpoint_refuses_is_told_without_its_key(
    server: Server, there: Endpoint, status: int, said: str, expected: int, words: str
) -> None:
    there.status, there.error = status, said
    for stream in (False, True):
        answer = server.client.post("/v1/chat/completions", json={**CHAT, "stream": stream})
        assert answer.status_code == expected
        assert words in answer.json()["error"]["message"]
        assert KEY not in answer.text
    assert (answer.headers.get("retry-after") == "7") == (status == 429)


@pytest.mark.parametrize(
    ("value", "words"), [(None, "is not set"), ("", "is not set"), ("a\u00fc", "no key"), ("a b", "no key")]
)
def test_a_variable_without_a_key_is_named_before_anything_is_served(
    monkeypatch: pytest.MonkeyPatch, value: str | None, words: str
) -> None:
    monkeypatch.delenv("TEST_OF_AN_LLM_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("TEST_OF_AN_LLM_KEY", value)
    with pytest.raises(TargetError, match=words) as caught:
        EndpointUpstream(EndpointSettings(url="https://a.test/v1", model="m", key="TEST_OF_AN_LLM_KEY"))
    assert "TEST_OF_AN_LLM_KEY" in caught.value.message


def test_an_endpoint_that_is_not_there_is_said_so(there: Endpoint, tmp_path: Path) -> None:
    settings = LlmSettings(engine="endpoint", endpoint=EndpointSettings(url="http://127.0.0.1:9/v1", model="m"))
    service = tmp_path / "service.json"
    file = ModelFile(name="other", version="1", digest="sha256:d", llm=settings)
    service.write_bytes(msgspec.json.encode(ServiceFile(models=(file,))))
    server = Server(None, tmp_path, "--service", str(service))
    with contextlib.closing(server.client):
        answer = server.client.post("/v1/chat/completions", json=CHAT)
        assert (answer.status_code, "cannot be reached" in answer.json()["error"]["message"]) == (502, True)
    server.stop()


@pytest.mark.slow
def test_a_run_tests_an_endpoint_and_leaves_its_key_in_no_file(there: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "plimsoll.yaml").write_text(
        "apiVersion: plimsoll.dev/v1alpha1\nkind: Application\nmetadata: {name: t}\nspec:\n"
        f"  llms: {{other: {{endpoint: {{url: '{there.url}', model: big, key: {{env: TEST_OF_AN_LLM_KEY}}}}}}}}\n"
        "  services: {chat: {llm: other}}\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "plimsoll", "run"],
        cwd=tmp_path, env={**os.environ, "TEST_OF_AN_LLM_KEY": KEY}, capture_output=True, timeout=55, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [headers["authorization"] for _, headers, _ in there.asked] == [f"Bearer {KEY}"] * 2
    written = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert written == []
    assert KEY.encode() not in ran.stdout + ran.stderr
    ran = subprocess.run(
        [sys.executable, "-m", "plimsoll", "run", "--force", "serve/chat"],
        cwd=tmp_path,
        capture_output=True,
        timeout=55,
        check=False,
    )
    assert b"TEST_OF_AN_LLM_KEY is not set" in ran.stdout + ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("payloads", [False, True])
def test_the_audit_log_has_tokens_and_only_when_asked_texts(there: Endpoint, tmp_path: Path, payloads: bool) -> None:
    settings = LlmSettings(engine="endpoint", endpoint=EndpointSettings(url=there.url, model="big"))
    service, log = tmp_path / "service.json", tmp_path / "audit.jsonl"
    file = ModelFile(name="other", version="1", digest="sha256:d", llm=settings)
    service.write_bytes(msgspec.json.encode(ServiceFile(models=(file,))))
    watch = json.dumps({"audit_log": str(log), "payloads": payloads})
    server = Server(
        None, tmp_path, "--service", str(service), "--observer", f"plimsoll.telemetry.service:watch={watch}"
    )
    for stream in (False, True):
        assert server.client.post("/v1/chat/completions", json={**CHAT, "stream": stream}).status_code == 200
    assert server.client.post("/v1/chat/completions", json={**CHAT, "model": "none"}).status_code == 404
    assert server.stop() == 0
    lines = map(json.loads, log.read_text().splitlines())
    whole, streamed, unknown = (line for line in lines if line["event"] == "inference")
    assert (unknown["status"], unknown["verdict"]) == (404, "refused")
    for line in (whole, streamed):
        assert (line["operation"], line["asked"], line["input_tokens"], line["output_tokens"]) == (
            "chat",
            "other",
            4,
            3,
        )
    assert ("first_token" in whole, "first_token" in streamed) == (False, True)
    texts = [(line.get("question"), line.get("answer")) for line in (whole, streamed)]
    assert texts == ([(SAY, "one two three"), (SAY, "onetwothree")] if payloads else [(None, None)] * 2)


def test_an_address_is_asked_without_a_key_where_none_is_named(there: Endpoint) -> None:
    import asyncio

    async def ask() -> int:
        upstream = EndpointUpstream(EndpointSettings(url=there.url, model="m"))
        answer = await upstream.ask("/v1/chat/completions", json.dumps(CHAT).encode())
        await answer.close()
        return answer.status

    assert asyncio.run(ask()) == httpx.codes.OK
    assert "authorization" not in there.asked[0][1]


def test_a_kept_connection_that_is_closed_before_an_answer_is_not_told_of() -> None:
    """As when a server of the endpoint is replaced by another: the request goes there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"

        def serve() -> None:
            for said in (b"", answer, b"", b""):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(said)

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        upstream = EndpointUpstream(EndpointSettings(url=url, model="m"))

        async def asked() -> None:
            found = await upstream.ask("/v1/chat/completions", b"{}")
            assert (found.status, await found.next()) == (200, b"{}")
            await found.close()
            with pytest.raises(UpstreamGone, match=r"it cannot be reached: (RemoteProtocol|Read)Error"):
                await upstream.ask("/v1/chat/completions", b"{}")

        asyncio.run(asked())
