"""Messages over gRPC that arrive slowly, or not at all."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.runtime.conftest import Server, linear_model

grpc = pytest.importorskip("grpc", reason="grpcio is not installed: pip install plimsoll[grpc]")

from plimsoll.runtime.server.data_plane import Limits  # noqa: E402
from plimsoll.runtime.server.fronts.open_inference_grpc import arrivals  # noqa: E402
from plimsoll.runtime.server.fronts.open_inference_grpc.arrivals import Arrivals  # noqa: E402
from plimsoll.runtime.server.protocol import SERVICE, calls  # noqa: E402
from plimsoll.runtime.server.refusals import BadInput, Busy, DeadlinePassed, Refusal  # noqa: E402

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name: str, value: str) -> bytes:
    """A header in HPACK, without an index and without Huffman's code."""
    return b"\0" + b"".join(bytes([len(word)]) + word.encode() for word in (name, value))


def begun_call(address: str) -> socket.socket:
    """A connection whose call has announced a message of 1000 bytes and sent one of them."""
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    head = [(":method", "POST"), (":scheme", "http"), (":path", f"/{SERVICE}/ModelInfer"), (":authority", "a")]
    head += [("te", "trailers"), ("content-type", "application/grpc")]
    block = b"".join(literal(name, value) for name, value in head)
    message = b"\0" + struct.pack(">I", 1000) + b"x"
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, END_HEADERS, 1, block))
    connection.sendall(frame(DATA, 0, 1, message))
    return connection


def until_the_stream_ends(connection: socket.socket) -> None:
    """Read frames until the server's last one for the call; the socket's time limit ends a wait for it."""
    with connection.makefile("rb") as file:
        while head := file.read(9):
            file.read(int.from_bytes(head[:3], "big"))
            if head[3] == HEADERS and head[4] & END_STREAM:
                return
    raise AssertionError("the connection ended without an answer")


@pytest.mark.slow
def test_a_message_that_stops_arriving_is_answered_at_the_time_limit_of_a_request(tmp_path: Path) -> None:
    server = Server(linear_model(tmp_path / "m.onnx"), tmp_path, "--grpc-port", "0", "--seconds", "1")
    with begun_call(server.grpc) as connection:
        until_the_stream_ends(connection)
    assert server.stop() == 0


def test_every_call_refuses_what_is_no_message(tmp_path: Path) -> None:
    server = Server(linear_model(tmp_path / "m.onnx"), tmp_path, "--grpc-port", "0")
    with grpc.insecure_channel(server.grpc) as channel:
        for name in calls():
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary(f"/{SERVICE}/{name}")(b"\xff\xff", timeout=30)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, name
            assert "not a message of the protocol" in refused.value.details()
        with pytest.raises(grpc.RpcError) as refused:
            channel.stream_unary(f"/{SERVICE}/ModelInfer")(iter(()), timeout=30)
        assert "no message" in refused.value.details()
    assert server.stop() == 0


def after(event: asyncio.Event, found: object = b"message") -> Callable[[], Awaitable[object]]:
    async def receive() -> object:
        await event.wait()
        return found

    return receive


def outcomes(limits: Limits, count: int) -> list[bytes | BaseException]:
    """What becomes of so many messages that all wait, until the second last has ended."""

    async def run() -> list[bytes | BaseException]:
        places, arrived = Arrivals(limits), asyncio.Event()
        tasks = [asyncio.ensure_future(places.message(after(arrived))) for _ in range(count)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        arrived.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(run())


def test_of_more_slow_messages_than_memory_has_places_for_the_longest_under_way_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(arrivals, "SLOW", 0.0)

    first, *others = outcomes(Limits(body=10, memory=20), 3)

    assert isinstance(first, Busy)
    assert "more than 2 requests take longer than 0 s to arrive" in str(first)
    assert others == [b"message", b"message"]


def test_only_as_many_messages_as_may_wait_for_a_model_are_on_their_way() -> None:
    *others, last = outcomes(Limits(queue=2), 3)

    assert others == [b"message", b"message"]
    assert isinstance(last, Busy)


@pytest.mark.parametrize(("found", "refusal"), [(b"", None), (object(), BadInput), (None, DeadlinePassed)])
def test_what_arrives_is_a_message_or_refused(found: object, refusal: type[Refusal] | None) -> None:
    async def run() -> bytes:
        event = asyncio.Event()
        if found is not None:
            event.set()
        return await Arrivals(Limits(seconds=0.01 if found is None else 30)).message(after(event, found))

    if refusal is None:
        assert asyncio.run(run()) == found
        return
    with pytest.raises(refusal):
        asyncio.run(run())
