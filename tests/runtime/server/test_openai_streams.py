"""Many streams at once, and clients that never read: a stand-in for an engine speaks as fast as it is let."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from benchmarks.peers.bare_stream import Engine
from plimsoll.llms.settings import EndpointSettings, LlmSettings
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from tests.runtime.conftest import Server, until

STREAMS = 200
Found = TypeVar("Found")


class Engines:
    """Stand-ins in an event loop of their own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.servers: list[asyncio.Server] = []
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, step: Coroutine[Any, Any, Found]) -> Found:  # Any: what a coroutine is sent is nobody's concern
        return asyncio.run_coroutine_threadsafe(step, self.loop).result(50)

    def start(self, engine: Engine) -> str:
        server = self.run(engine.serve(0))
        self.servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    found = Engines()
    yield found
    for server in found.servers:
        found.loop.call_soon_threadsafe(server.close)
    found.loop.call_soon_threadsafe(found.loop.stop)
    found.thread.join(10)
    found.loop.close()


@contextlib.contextmanager
def serving(directory: Path, url: str, **settings: object) -> Iterator[Server]:
    told = {"engine": "vllm", "slots": STREAMS, "queue": 0, "tokens": 1_000_000, **settings}
    llm = msgspec.structs.replace(
        msgspec.convert(told, LlmSettings), endpoint=EndpointSettings(url=url, model="writer")
    )
    file = ModelFile(name="writer", version="1", digest="sha256:d", llm=llm)
    service = directory / "service.json"
    service.write_bytes(msgspec.json.encode(ServiceFile(models=(file,))))
    server = Server(None, directory, "--service", str(service))
    try:
        yield server
    finally:
        server.stop()


def question(tokens: int) -> bytes:
    asked = {"model": "writer", "messages": [{"role": "user", "content": "hi"}], "max_tokens": tokens, "stream": True}
    body = json.dumps(asked).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


async def stream(server: Server, tokens: int) -> bytes:
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(question(tokens))
    answer = await reader.read(-1)
    writer.close()
    return answer


def under_way(server: Server) -> float:
    return server.metric('plimsoll_requests_under_way{model="writer"}')


def steady(engine: Engine) -> int:
    """Bytes that it has sent when it sends no more."""
    before = -1
    while before != engine.sent:
        before = engine.sent
        time.sleep(0.3)
    return before


@pytest.mark.slow
def test_hundreds_of_streams_at_once_are_whole_and_one_more_is_told_when_to_come_again(
    tmp_path: Path, engines: Engines
) -> None:
    engine = Engine(pause=0.01)
    engine.go.clear()
    with serving(tmp_path, engines.start(engine)) as server:

        async def all_of_them() -> tuple[list[bytes], bytes]:
            async with asyncio.timeout(40):
                streams = [asyncio.create_task(stream(server, 8)) for _ in range(STREAMS)]
                while engine.streams < STREAMS:
                    await asyncio.sleep(0.01)
                more = await stream(server, 8)
                engines.loop.call_soon_threadsafe(engine.go.set)
                return await asyncio.gather(*streams), more

        answers, more = asyncio.run(all_of_them())
        assert {answer.count(b'"content": "on"') for answer in answers} == {8}
        assert all(answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") for answer in answers)
        assert b" 429 " in more
        assert b"retry-after: " in more
        assert b"queue_full" in more
        assert (engine.most, under_way(server)) == (STREAMS, 0)


def test_a_client_that_never_reads_is_sent_little_and_holds_up_only_its_own_stream(
    tmp_path: Path, engines: Engines
) -> None:
    engine = Engine(pause=0.0, word="on and on " * 100)
    with serving(tmp_path, engines.start(engine), slots=2) as server, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = server.url.removeprefix("http://").split(":")
        deaf.connect((host, int(port)))
        deaf.sendall(question(1_000_000))
        until(lambda: engine.sent > 0)
        # What is between two programs of this machine is the kernel's: some megabytes at each of two connections.
        assert steady(engine) < 12 << 20
        other = asyncio.run(stream(server, 20))
        assert other.count(b'"content"') == 20
        assert under_way(server) == 1
        deaf.close()
        until(lambda: under_way(server) == 0)
    until(lambda: engine.streams == 0)
    assert engine.left == 1


def memory_of(server: Server) -> int:
    """Bytes of its resident memory."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) << 10


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux' /proc for the memory of a process")
def test_many_clients_that_never_read_cost_a_bounded_memory(tmp_path: Path, engines: Engines) -> None:
    engine = Engine(pause=0.0, word="on and on " * 1000)
    deaf = [socket.socket() for _ in range(100)]
    with serving(tmp_path, engines.start(engine)) as server, contextlib.ExitStack() as stack:
        asyncio.run(stream(server, 10))
        before = memory_of(server)
        host, port = server.url.removeprefix("http://").split(":")
        for each in deaf:
            stack.enter_context(each)
            each.connect((host, int(port)))
            each.sendall(question(1_000_000))
        until(lambda: engine.streams == len(deaf))
        steady(engine)
        assert memory_of(server) - before < len(deaf) * (256 << 10)
