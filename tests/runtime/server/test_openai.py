"""The OpenAI API over a real engine with a small model, as OpenAI's own client sees it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("xllamacpp", reason="needs the extra plimsoll[llms]")
openai = pytest.importorskip("openai", reason="needs OpenAI's client")

import msgspec  # noqa: E402

from plimsoll.errors import TargetError  # noqa: E402
from plimsoll.files import digest_of_file  # noqa: E402
from plimsoll.llms.settings import LlmSettings  # noqa: E402
from plimsoll.runtime.server.llms.process import EngineProcess  # noqa: E402
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile  # noqa: E402
from tests.llms.tiny import tiny_adapter, tiny_model  # noqa: E402
from tests.runtime.conftest import Server  # noqa: E402

LONG = 60_000
"""Tokens of an answer that lasts as long as a test wants."""
SAY = [{"role": "user", "content": "hi"}]


def model_file(directory: Path, *, adapters: bool = True, **settings: object) -> ModelFile:
    path = tiny_model(directory / "model.gguf", context=2 * LONG)
    told: dict[str, object] = {"context": 2048, "slots": 2, "tokens": 1000, "queue": 1, **settings}
    if adapters:
        told["adapters"] = {"style": str(tiny_adapter(directory / "style.gguf"))}
    llm = msgspec.convert({"engine": "llama.cpp", **told}, LlmSettings)
    return ModelFile(
        name="writer", version="1", path=str(path), digest="sha256:d", files={str(path): digest_of_file(path)}, llm=llm
    )


@contextlib.contextmanager
def serving(directory: Path, *, adapters: bool = True, **settings: object) -> Iterator[Server]:
    service = directory / "service.json"
    service.write_bytes(
        msgspec.json.encode(ServiceFile(models=(model_file(directory, adapters=adapters, **settings),)))
    )
    server = Server(None, directory, "--service", str(service))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("llm")) as up:
        yield up


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One slot, one waiting request, and answers that go on and on."""
    with serving(tmp_path_factory.mktemp("long"), context=LONG + 100, tokens=LONG, slots=1, adapters=False) as up:
        yield up


def client(server: Server) -> Any:  # Any: the client is imported only where there is one
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=50)


def engine_of(server: Server) -> int:
    """The process of its engine."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = re.search(r"PPid:\s+(\d+)", (entry / "status").read_text())
            if (
                parent
                and int(parent[1]) == server.process.pid
                and b"llama_cpp_process" in (entry / "cmdline").read_bytes()
            ):
                return int(entry.name)
    raise AssertionError("there is no engine")


def engine_itself(server: Server) -> httpx.Client:
    """A client of its engine, past the server."""
    order = json.loads(Path(f"/proc/{engine_of(server)}/cmdline").read_bytes().split(b"\0")[3])
    return httpx.Client(transport=httpx.HTTPTransport(uds=order["socket"]), base_url="http://engine", timeout=30)


def rounded(answer: bytes) -> Any:  # Any: JSON
    """An answer; the last digits of its numbers differ with what the engine has computed before."""
    return json.loads(answer, parse_float=lambda digits: round(float(digits), 3))


def busy_slots(server: Server) -> int:
    """Answers that its engine computes at this moment, as the engine itself says."""
    with engine_itself(server) as engine:
        return sum(slot["is_processing"] for slot in engine.get("/slots").json())


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_client_of_openai_gets_models_answers_and_usage(server: Server) -> None:
    with client(server) as api:
        assert [model.id for model in api.models.list()] == ["writer", "style"]
        assert api.models.retrieve("style").id == "style"
        answer = api.chat.completions.create(model="writer", messages=SAY, max_tokens=8, seed=1, temperature=0)
        assert answer.choices[0].message.content
        assert answer.choices[0].finish_reason == "length"
        assert (answer.model, answer.usage.completion_tokens) == ("writer", 8)
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + 8
        again = api.chat.completions.create(model="writer", messages=SAY, max_tokens=8, seed=1, temperature=0)
        assert again.choices[0].message.content == answer.choices[0].message.content
        text = api.completions.create(model="writer", prompt="ab", max_tokens=4)
        assert text.choices[0].text


def test_a_stream_says_what_the_whole_answer_says_and_its_usage_when_it_is_asked_for(server: Server) -> None:
    with client(server) as api:
        more = {"model": "writer", "messages": SAY, "max_tokens": 12, "temperature": 0}
        whole = api.chat.completions.create(**more).choices[0].message.content
        chunks = list(api.chat.completions.create(**more, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole
        assert chunks[-1].choices[0].finish_reason == "length"
        assert all(chunk.usage is None for chunk in chunks)
        *_, last = api.chat.completions.create(**more, stream=True, stream_options={"include_usage": True})
        assert (last.choices, last.usage.completion_tokens) == ([], 12)
        assert "".join(
            c.choices[0].text for c in api.completions.create(model="writer", prompt="a", stream=True, max_tokens=3)
        )


def test_many_clients_at_once_wait_for_their_turn(server: Server) -> None:
    async def all_of_them() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=9) as api:

            async def one(number: int) -> str:
                stream = await api.chat.completions.create(
                    model="writer", messages=[{"role": "user", "content": str(number)}], max_tokens=20, stream=True
                )
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            return await asyncio.gather(*map(one, range(3)))

    assert all(len(said) >= 10 for said in asyncio.run(all_of_them()))


def test_stop_logprobs_and_a_schema_reach_the_engine(server: Server) -> None:
    with client(server) as api:
        more = {"model": "writer", "messages": SAY, "temperature": 0}
        whole = api.chat.completions.create(**more, max_tokens=8).choices[0].message.content
        stopped = api.chat.completions.create(**more, max_tokens=8, stop=[whole[3]]).choices[0]
        assert (stopped.message.content, stopped.finish_reason) == (whole[: whole.index(whole[3])], "stop")
        told = api.chat.completions.create(**more, max_tokens=2, logprobs=True, top_logprobs=2).choices[0].logprobs
        assert [len(token.top_logprobs) for token in told.content] == [2, 2]
        schema = {
            "type": "object",
            "properties": {"a": {"enum": ["x", "y"]}},
            "required": ["a"],
            "additionalProperties": False,
        }
        given = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
        answer = api.chat.completions.create(**more, max_tokens=400, response_format=given).choices[0].message.content
        assert json.loads(answer)["a"] in {"x", "y"}


@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("chat/completions", {"messages": SAY, "logprobs": True, "top_logprobs": 2}),
        ("completions", {"prompt": "ab", "logprobs": 2}),
    ],
)
def test_a_whole_answer_is_as_the_engine_itself_gives_it(
    server: Server, path: str, question: dict[str, object]
) -> None:
    asked = {"model": "writer", **question, "max_tokens": 6, "temperature": 0, "lora": [{"id": 0, "scale": 0.0}]}
    with engine_itself(server) as engine:
        itself = rounded(engine.post(f"/v1/{path}", json=asked).content)
    del asked["lora"]
    ours = rounded(server.client.post(f"/v1/{path}", json=asked).content)
    assert ours["choices"] == itself["choices"]
    assert (ours["object"], ours["usage"]["completion_tokens"]) == (itself["object"], 6)
    assert ours.keys() == itself.keys()


def test_an_adapter_answers_by_its_name_and_leaves_the_model_as_it_is(server: Server) -> None:
    with client(server) as api:

        def says(model: str) -> str:
            more = {"messages": SAY, "max_tokens": 12, "temperature": 0}
            return str(api.chat.completions.create(model=model, **more).choices[0].message.content)

        plain = says("writer")
        assert says("style") != plain
        assert says("writer") == plain


@pytest.mark.parametrize(
    ("path", "body", "status", "param", "words"),
    [
        ("chat/completions", {"model": "writr", "messages": SAY}, 404, None, "this server has 'writer', 'style'"),
        ("chat/completions", {"model": "writer", "messages": [{"role": "x", "content": ""}]}, 400, "messages[0].role", "role"),
        ("chat/completions", {"model": "writer", "messages": [{"role": "user", "content": "a" * 3000}]}, 400, "messages",
         "the context of this model is 2048"),
        ("chat/completions", {"model": "writer", "messages": SAY, "max_tokens": 5000}, 400, "max_tokens", "1000 tokens at most"),
        ("chat/completions", {"model": "writer", "messages": SAY, "n_predict": 9}, 400, "n_predict", "no field"),
        ("chat/completions", {"model": "writer", "messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]}, 400, "messages", "not supported"),
        ("chat/completions", {"model": "writer", "messages": SAY, "stream": True, "max_tokens": 5000}, 400, "max_tokens", "1000"),
        ("completions", {"model": "writer", "prompt": ["a", "b"]}, 400, "prompt", "one text"),
        ("embeddings", {"model": "writer", "input": "a"}, 400, None, "takes no texts"),
        ("audio", {"model": "writer"}, 404, None, "nothing at /v1/audio"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_the_shape_of_the_api(
    server: Server, path: str, body: dict[str, object], status: int, param: str | None, words: str
) -> None:
    answer = server.client.post(f"/v1/{path}", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert words in error["message"]
    assert error["type"]


def test_a_wrong_method_and_a_huge_body_are_refused_before_they_are_read(server: Server) -> None:
    wrong = server.client.get("/v1/chat/completions")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    huge = server.ask(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\n\r\n")
    assert b" 413 " in huge
    assert b'"code":"request_too_large"' in huge


def test_it_has_no_tensors_and_says_where_it_answers(server: Server) -> None:
    answer = server.client.post("/v2/models/writer/infer", json={"inputs": []})
    assert (answer.status_code, "/v1/chat/completions" in answer.json()["error"]) == (400, True)
    assert server.client.get("/v2/models/writer").json()["platform"] == "plimsoll_llm"
    assert 'data-path="v1/chat/completions"' in server.client.get("/", headers={"accept": "text/html"}).text


@pytest.mark.slow
def test_the_tokens_stop_when_a_client_leaves_in_the_middle(long: Server) -> None:
    with client(long) as api:
        stream = api.chat.completions.create(model="writer", messages=SAY, max_tokens=LONG, stream=True)
        next(iter(stream))
        assert busy_slots(long) == 1
        stream.close()
    until(lambda: busy_slots(long) == 0)


@pytest.mark.slow
def test_the_tokens_stop_when_a_client_leaves_that_waits_for_the_whole_answer(long: Server) -> None:
    body = json.dumps({"model": "writer", "messages": SAY, "max_tokens": LONG}).encode()
    with long.connect() as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        until(lambda: busy_slots(long) == 1)
    until(lambda: busy_slots(long) == 0)
    assert long.metric('plimsoll_requests_total{code="499"') >= 1


@pytest.mark.slow
def test_beyond_the_queue_a_request_is_refused_and_the_one_that_waits_may_leave(long: Server) -> None:
    with client(long) as api, client(long) as other, long.connect() as waiting:
        first = api.chat.completions.create(model="writer", messages=SAY, max_tokens=LONG, stream=True)
        next(iter(first))
        body = json.dumps({"model": "writer", "messages": SAY, "max_tokens": 1}).encode()
        waiting.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        until(lambda: long.metric("plimsoll_llm_waiting") == 1)
        with pytest.raises(openai.RateLimitError, match="wait for this model") as refused:
            other.chat.completions.create(model="writer", messages=SAY, max_tokens=1)
        assert int(refused.value.response.headers["retry-after"]) >= 1
        assert refused.value.code == "queue_full"
        waiting.close()
        until(lambda: long.metric("plimsoll_llm_waiting") == 0)
        first.close()
        assert other.chat.completions.create(model="writer", messages=SAY, max_tokens=1).choices


@pytest.mark.slow
def test_a_client_that_never_reads_keeps_nobody_else_waiting_and_is_let_go(long: Server) -> None:
    body = json.dumps({"model": "writer", "messages": SAY, "max_tokens": LONG, "stream": True}).encode()
    with long.connect() as deaf:
        deaf.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        until(lambda: long.metric('plimsoll_requests_under_way{model="writer"}') == 1)
        assert long.client.get("/v1/models").status_code == 200
    until(lambda: long.metric('plimsoll_requests_under_way{model="writer"}') == 0)


@pytest.mark.slow
def test_an_engine_that_is_killed_ends_its_answers_with_an_error_and_comes_back(long: Server) -> None:
    with client(long) as api:
        stream = api.chat.completions.create(model="writer", messages=SAY, max_tokens=LONG, stream=True)
        next(iter(stream))
        os.kill(engine_of(long), signal.SIGKILL)
        with pytest.raises(openai.APIError, match=r"llama\.cpp"):
            list(stream)
        until(lambda: long.metric("plimsoll_code_restarts") >= 1)
        until(lambda: long.client.get("/v2/health/ready").status_code == 200)
        assert api.chat.completions.create(model="writer", messages=SAY, max_tokens=1).choices


@pytest.mark.slow
def test_an_answer_that_takes_too_long_ends_with_an_error(tmp_path: Path) -> None:
    with (
        serving(tmp_path, context=LONG + 100, tokens=LONG, slots=1, seconds=2.0, adapters=False) as server,
        client(server) as api,
    ):
        with pytest.raises(openai.APIStatusError, match="within 2 s") as late:
            api.chat.completions.create(model="writer", messages=SAY, max_tokens=LONG)
        assert (late.value.status_code, late.value.code) == (504, "timeout")
        until(lambda: busy_slots(server) == 0)
        with pytest.raises(openai.APIError, match="within 2 s"):
            list(api.chat.completions.create(model="writer", messages=SAY, max_tokens=LONG, stream=True))


def test_a_model_that_cannot_be_loaded_is_refused_with_the_reason_of_its_engine(tmp_path: Path) -> None:
    file = model_file(tmp_path, adapters=False)
    path = Path(file.path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5000])
    with pytest.raises(TargetError, match="altered"):
        EngineProcess(file, file.llm or LlmSettings(engine=""), 1)
    unchecked = msgspec.structs.replace(file, files={})
    with pytest.raises(TargetError, match="not within the file bounds") as refused:
        EngineProcess(unchecked, file.llm or LlmSettings(engine=""), 1)
    assert "llama.cpp with writer" in refused.value.where
    assert sys.executable not in refused.value.message
