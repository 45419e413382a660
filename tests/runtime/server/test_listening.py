"""What many clients together can take from a server: connections, time and memory."""

from __future__ import annotations

import asyncio
import re
import resource
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plimsoll.runtime.server import listening as listening_module
from plimsoll.runtime.server.connection import Connection
from plimsoll.runtime.server.data_plane import Limits
from plimsoll.runtime.server.descriptors import RESERVE, connections_that_fit
from plimsoll.runtime.server.fronts.table import mount
from plimsoll.runtime.server.listening import Listening
from plimsoll.runtime.server.memory import Memory
from plimsoll.runtime.server.options import Patience
from plimsoll.runtime.server.refusals import Busy, TooLarge
from tests.runtime.conftest import linear_model
from tests.runtime.server.direct_call import plane_of

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: h\r\n\r\n"
LARGE = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Coroutine[Any, Any, Streams]]


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def with_clients(
    tmp_path: Path,
    use: Callable[[Listening, Connect], Coroutine[Any, Any, None]],
    memory: int = 1 << 20,
    largest: int = 100_000,
) -> None:
    """Run `use` with a listening server of at most four connections, and a way to connect to it."""
    limits = Limits(body=largest, memory=memory)
    listening = Listening(mount(plane_of(linear_model(tmp_path / "m.onnx"), limits=limits)), Patience(connections=4))

    async def run() -> None:
        loop = listening.loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(listening), "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        made: list[Streams] = []

        async def connect() -> Streams:
            made.append(await asyncio.open_connection(*address))
            return made[-1]

        async with server, asyncio.timeout(30):
            await use(listening, connect)
            for _, writer in made:
                writer.close()

    asyncio.run(run())


async def answered(client: Streams) -> bool:
    """Whether the client gets the answer to a health check."""
    reader, writer = client
    writer.write(LIVE)
    return b"200 OK" in await reader.readuntil(b"\r\n") and b"true" in await reader.readuntil(b"}")


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.001)


def test_a_new_client_gets_the_place_of_the_one_that_waited_longest(tmp_path: Path) -> None:
    async def use(listening: Listening, connect: Connect) -> None:
        silent = []
        for number in range(6):
            silent.append(await connect())
            await until(lambda number=number: len(listening.connections) == min(4, number + 1))  # type: ignore[misc]

        assert await answered(await connect())
        assert await silent[0][0].read() == b""
        assert len(listening.connections) <= 4

    with_clients(tmp_path, use)


def test_a_refused_client_cannot_stay_by_sending_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(listening_module, "time", clock)

    async def use(listening: Listening, connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(b"rubbish\r\n\r\n")
        assert b" 400 " in await reader.readuntil(b"\r\n")
        for _ in range(10):
            writer.write(b"a")
            clock.now += 1
            listening.check_time_limits()
            await asyncio.sleep(0.001)
        await until(lambda: not listening.connections)

    with_clients(tmp_path, use)


def test_line_ends_do_not_keep_a_connection_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(listening_module, "time", clock)

    async def use(listening: Listening, connect: Connect) -> None:
        client = await connect()
        assert await answered(client)
        listening.check_time_limits()
        client[1].write(b"\r\n\r\n")
        await asyncio.sleep(0.01)
        clock.now += 80
        listening.check_time_limits()
        await until(lambda: not listening.connections)

    with_clients(tmp_path, use)


def test_bodies_under_way_have_one_limit_together(tmp_path: Path) -> None:
    async def use(listening: Listening, connect: Connect) -> None:
        first, second, third = [await connect() for _ in range(3)]
        first[1].write(LARGE + b" " * 59_000)
        await until(lambda: listening.memory.held >= 59_000)
        second[1].write(LARGE + b" " * 59_000)

        assert b" 503 " in await second[0].readuntil(b"\r\n")
        assert b"retry-after" in await second[0].readuntil(b"\r\n\r\n")
        assert await answered(third)
        first[1].close()
        await until(lambda: listening.memory.held == 0)

    with_clients(tmp_path, use, memory=100_000)


def test_many_requests_in_one_packet_are_all_answered_and_hold_nothing_afterwards(tmp_path: Path) -> None:
    async def use(listening: Listening, connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(LIVE * 2000)
        writer.write_eof()
        assert (await reader.read()).count(b"200 OK") == 2000
        await until(lambda: listening.memory.held == 0)

    with_clients(tmp_path, use)


def request_of(data: str, shape: list[int], padding: int = 0) -> bytes:
    body = b'{"inputs":[{"name":"x","shape":%b,"datatype":"FP32","data":%b}]%b}' % (
        str(shape).encode(), data.encode(), b" " * padding
    )  # fmt: skip
    return b"POST /v2/models/m/infer HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def body_of(client: Streams) -> bytes:
    head = await client[0].readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head[:12] + b" " + await client[0].readexactly(length)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (request_of("[" + "[]," * 30_000 + "0]", [1, 2]), b"400 .*(rows|values|datatype)"),
        (request_of("[" + "1," * 60_000 + "1]", [1, 2]), b"400 .*data has more than 2 elements"),
        (request_of("[1,2]", [40_000, 2], 90_000), b"400 .*(fewer elements|beside the lists)"),
        (request_of("[" + '"' + "a" * 90_000 + '"' + ",1]", [1, 2]), b"400 .*not of the datatype FP32"),
        (request_of("[1,2]", [1, 2], 90_000), b"400 .*of JSON beside the lists"),
        (request_of("[" + "1," * 39_999 + "1]", [20_000, 2]), b"503 .*this one needs 160000"),
        (request_of("[" + "1," * 19_999 + "null]" + " " * 40_000, [10_000, 2]), b'200 .*"shape":\\[10000,1\\].*null'),
    ],
)
def test_a_long_request_is_counted_before_it_is_converted(tmp_path: Path, request_: bytes, answer: bytes) -> None:
    async def use(listening: Listening, connect: Connect) -> None:
        client = await connect()
        client[1].write(request_)
        said = await body_of(client)
        assert re.match(b"HTTP/1.1 " + answer, said), said[:300]
        await until(lambda: listening.memory.held == 0)

    with_clients(tmp_path, use, memory=200_000, largest=150_000)


def test_memory_is_reserved_before_it_is_taken() -> None:
    memory = Memory(100)
    memory.reserve(60)

    with pytest.raises(Busy, match=r"hold 60 of 100 bytes, this one needs 50"):
        memory.reserve(50)
    with pytest.raises(TooLarge, match="need 101 bytes"):
        memory.reserve(101)
    memory.change(-60)
    memory.reserve(100)


def test_connections_leave_descriptors_for_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))

    assert connections_that_fit(8192) == 1024 - RESERVE
    assert connections_that_fit(500) == 500
    assert connections_that_fit(8192, asked=200) == 1024 - RESERVE - 200
    assert set_to == [(1024, 1024), (500 + RESERVE, 1024), (1024, 1024)]
    assert msgspec.structs.replace(Patience(), connections=3).connections == 3
