"""Ten thousand connections of clients that break the protocol, many at a time; the health is asked meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import struct
import time
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import TypeAlias

from msgspec import Struct

from benchmarks.hardening.findings import Findings
from benchmarks.hardening.neighbour import neighbour
from benchmarks.hardening.server import Attacked

AREA = "connections"
AT_ONCE = 600
HOLD = 2.0
"""Seconds for which one hostile client goes on."""
HEAD = b"POST /v2/models/fp32/infer HTTP/1.1\r\nHost: a\r\n"
PAUSE = 0.05
"""Seconds between two requests for the health."""
ENOUGH = 1 << 20
"""Bytes that one client sends at most."""

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter


async def slow_head(reader: Reader, writer: Writer, random: Random) -> None:
    """A byte of a head now and then."""
    for byte in HEAD:
        writer.write(bytes([byte]))
        await asyncio.sleep(HOLD / 20 * random.random())


async def endless_head(reader: Reader, writer: Writer, random: Random) -> None:
    """Header after header."""
    await _pour(writer, HEAD, b"X-A: " + b"a" * 1000 + b"\r\n")


async def endless_chunks(reader: Reader, writer: Writer, random: Random) -> None:
    """Chunk after chunk."""
    await _pour(writer, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"[" * 0x1000 + b"\r\n")


async def endless_lines(reader: Reader, writer: Writer, random: Random) -> None:
    """Empty lines, as they may stand before a request."""
    await _pour(writer, b"", b"\r\n" * 500)


async def refused_and_going_on(reader: Reader, writer: Writer, random: Random) -> None:
    """Refused at once, and sending on."""
    writer.write(b"GARBAGE\r\n\r\n")
    for _ in range(20):
        writer.write(b"x")
        await asyncio.sleep(HOLD / 20)


async def garbage(reader: Reader, writer: Writer, random: Random) -> None:
    """Bytes of chance."""
    writer.write(random.randbytes(random.choice((1, 100, 70_000))))
    await writer.drain()
    await _end(reader)


async def silent(reader: Reader, writer: Writer, random: Random) -> None:
    """Nothing at all."""
    await asyncio.sleep(HOLD)


async def announced(reader: Reader, writer: Writer, random: Random) -> None:
    """A large body that does not come."""
    writer.write(HEAD + b"Content-Length: 60000000\r\n\r\n[")
    await asyncio.sleep(HOLD)


async def half_closed(reader: Reader, writer: Writer, random: Random) -> None:
    """Half a request, and the end of sending."""
    writer.write(HEAD + b"Content-Length: 10\r\n\r\n{")
    writer.write_eof()
    await _end(reader)


async def deaf(reader: Reader, writer: Writer, random: Random) -> None:
    """Many requests, of which no answer is read."""
    await _pour(writer, b"", b"GET /v2/models/m HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
    await asyncio.sleep(HOLD / 2)


async def reset(reader: Reader, writer: Writer, random: Random) -> None:
    """A reset in the middle of a request."""
    writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")
    own: socket.socket = writer.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await asyncio.sleep(0)


Kind = Callable[[Reader, Writer, Random], Coroutine[None, None, None]]
KINDS: tuple[Kind, ...] = (
    slow_head, endless_head, endless_chunks, endless_lines, refused_and_going_on, garbage, silent, announced,
    half_closed, deaf, reset,
)  # fmt: skip


async def _pour(writer: Writer, first: bytes, again: bytes) -> None:
    """Send bytes until the server closes, or has taken enough, or no more."""
    writer.write(first)
    for _ in range(ENOUGH // len(again)):
        writer.write(again)
        await writer.drain()


async def _end(reader: Reader) -> None:
    while await reader.read(1 << 16):
        pass


async def _one(port: int, kind: Kind, random: Random) -> None:
    """One client."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 10)
    except OSError:
        return
    try:
        async with asyncio.timeout(HOLD):
            await kind(reader, writer, random)
    except OSError:
        # The server has ended the connection, or the time is up, which are both as it should be.
        pass
    finally:
        writer.transport.abort()


async def _all(port: int, kinds: Sequence[Kind], count: int, random: Random, limit: float) -> int:
    """How many clients there were."""
    end, begun = time.monotonic() + limit, 0

    async def client() -> None:
        nonlocal begun
        while begun < count and time.monotonic() < end:
            begun += 1
            await _one(port, random.choice(kinds), random)

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return begun


class Phase(Struct, frozen=True):
    """Clients of one kind, or of all: how many, from when to when (of `time.monotonic`)."""

    name: str
    clients: int
    begin: float
    end: float


def hold(server: Attacked, findings: Findings, random: Random, count: int, limit: float) -> tuple[int, float]:
    """Open so many connections in so many seconds at most; how many, and the longest wait of a health request."""
    with contextlib.suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    kinds = {kind.__name__: (kind,) for kind in KINDS} | {"all-kinds": KINDS}
    phases = []
    with neighbour(server.port, PAUSE, "live") as health:
        for name, each in kinds.items():
            begin = time.monotonic()
            share = -(-count // len(kinds))
            clients = asyncio.run(_all(server.port, each, share, random, limit / len(kinds)))
            # What a kind has left behind is its own.
            time.sleep(PAUSE * 4)
            server.check(f"{AREA}-{name}", _about(each))
            phases.append(Phase(name, clients, begin, time.monotonic()))
    longest = 0.0
    for phase in phases:
        asked = [waited for began, _, waited in health.samples if phase.begin <= began < phase.end]
        waited = max(asked, default=float("inf"))
        longest = max(longest, waited)
        print(f"    {phase.clients} × {phase.name}: the health waits {waited * 1000:.0f} ms at most", flush=True)
        if waited > 1:
            findings.add(AREA, f"{phase.name}: the health is not answered within a second", _about(kinds[phase.name]))
    return sum(phase.clients for phase in phases), longest


def _about(kinds: Sequence[Kind]) -> bytes:
    """What stands for an input: these clients, all together."""
    return "".join(f"{kind.__name__}: {kind.__doc__}\n" for kind in kinds).encode()
