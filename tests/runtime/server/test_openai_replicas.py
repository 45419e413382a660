"""Several replicas of a real engine behind one server: who is asked, and what is left when one of them ends."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

pytest.importorskip("xllamacpp", reason="needs the extra plimsoll[llms]")
openai = pytest.importorskip("openai", reason="needs OpenAI's client")

from tests.runtime.conftest import Server  # noqa: E402
from tests.runtime.server.test_openai import LONG, SAY, client, serving, until  # noqa: E402


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(
        tmp_path_factory.mktemp("two"), context=LONG + 100, tokens=LONG, replicas=2, queue=8, adapters=False
    ) as up:
        yield up


def engines(server: Server) -> list[int]:
    """The processes of its engines."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = re.search(r"PPid:\s+(\d+)", (entry / "status").read_text())
            ours = parent is not None and int(parent[1]) == server.process.pid
            if ours and b"llama_cpp_process" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return sorted(found)


def known(server: Server, beginning: str, end: str) -> int:
    """How much of a question the engine that answers it knew already, in tokens: here a token is a byte."""
    with client(server) as api:
        answer = api.chat.completions.create(
            model="writer", messages=[{"role": "user", "content": beginning + end}], max_tokens=1
        )
        return int(answer.usage.prompt_tokens_details.cached_tokens)


def words(seed: int) -> str:
    return random.Random(seed).randbytes(400).hex()


def routed(server: Server, why: str) -> float:
    return server.metric(f'plimsoll_llm_routed_total{{model="writer",version="1",why="{why}"}}')


def test_a_question_goes_to_the_replica_that_has_read_its_beginning(server: Server) -> None:
    assert len(engines(server)) == 2
    beginnings = [words(seed) for seed in range(4)]
    assert [known(server, each, "one?") < 100 for each in beginnings] == [True] * 4
    # One after the other, so that nothing but their beginnings tells the replicas apart.
    assert [known(server, each, "another?") >= 700 for each in beginnings] == [True] * 4
    assert routed(server, "prefix") >= 4
    assert routed(server, "new") >= 4


def test_many_at_once_with_one_beginning_are_spread_over_the_replicas(server: Server) -> None:
    same = words(9)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: known(server, same, str(number)), range(12)))
    assert len(found) == 12
    until(lambda: server.metric('plimsoll_requests_under_way{model="writer"}') == 0)


def test_an_answer_that_a_client_has_left_is_counted_off(server: Server) -> None:
    with client(server) as api:
        streams = [
            api.chat.completions.create(model="writer", messages=SAY, max_tokens=LONG, stream=True) for _ in range(4)
        ]
        for stream in streams:
            next(iter(stream))
        # What is answered fast may have ended.
        assert 1 <= server.metric('plimsoll_requests_under_way{model="writer"}') <= 4
        for stream in streams:
            stream.close()
        until(lambda: server.metric('plimsoll_requests_under_way{model="writer"}') == 0)
        assert api.chat.completions.create(model="writer", messages=SAY, max_tokens=1).choices


@pytest.mark.slow
def test_a_replica_that_is_killed_is_forgotten_and_its_questions_go_to_the_other(server: Server) -> None:
    before = engines(server)
    beginning = words(20)
    known(server, beginning, "first")
    restarts = server.metric('plimsoll_code_restarts_total{model="writer",version="1"}')
    os.kill(before[0], signal.SIGKILL)
    for number in range(6):
        known(server, beginning, str(number))
        assert server.client.get("/v2/health/ready").status_code == 200
    until(lambda: server.metric('plimsoll_code_restarts_total{model="writer",version="1"}') > restarts)
    until(lambda: len(engines(server)) == 2 and engines(server) != before)
    assert [known(server, words(30 + number), "?") < 100 for number in range(4)] == [True] * 4


@pytest.mark.slow
def test_a_stream_ends_with_its_replica_and_the_other_lives_on(server: Server) -> None:
    until(lambda: _answers(server))
    with client(server) as api:
        stream = api.chat.completions.create(model="writer", messages=SAY, max_tokens=LONG, stream=True)
        next(iter(stream))
        killed = next(each for each in engines(server) if _computes(each))
        (other,) = [each for each in engines(server) if each != killed]
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(openai.APIError, match=r"llama\.cpp"):
            list(stream)
    until(lambda: len(engines(server)) == 2)
    assert other in engines(server)


def _computes(engine: int) -> bool:
    """Whether it computes an answer, as it says itself."""
    order = json.loads(Path(f"/proc/{engine}/cmdline").read_bytes().split(b"\0")[3])
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=order["socket"]), base_url="http://engine", timeout=30
    ) as itself:
        return any(slot["is_processing"] for slot in itself.get("/slots").json())


@pytest.mark.slow
def test_when_all_replicas_are_killed_it_says_so_and_comes_back(server: Server) -> None:
    for each in engines(server):
        os.kill(each, signal.SIGKILL)
    with client(server) as api:
        with pytest.raises(openai.APIStatusError) as refused:
            api.chat.completions.create(model="writer", messages=SAY, max_tokens=1)
        assert refused.value.status_code in {502, 503}
        until(lambda: server.client.get("/v2/health/ready").status_code == 200 and len(engines(server)) == 2)
        until(lambda: _answers(server))


def _answers(server: Server) -> bool:
    with client(server) as api, contextlib.suppress(openai.APIStatusError):
        return bool(api.chat.completions.create(model="writer", messages=SAY, max_tokens=1).choices)
    return False
