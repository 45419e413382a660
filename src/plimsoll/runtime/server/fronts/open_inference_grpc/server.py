"""The gRPC server: its port, and refusals to statuses."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import grpc

from plimsoll.errors import TargetError
from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.fronts.open_inference_grpc.arrivals import Arrivals
from plimsoll.runtime.server.fronts.open_inference_grpc.calls import (
    ADMIN,
    CALLS,
    INFER,
    OPEN,
    Calls,
    Infer,
    headers_of,
    parsed,
)
from plimsoll.runtime.server.fronts.open_inference_grpc.messages import Message
from plimsoll.runtime.server.fronts.open_inference_grpc.standard import Standard
from plimsoll.runtime.server.identities.callers import Role
from plimsoll.runtime.server.protocol import SERVICE
from plimsoll.runtime.server.refusals import (
    BadInput,
    Busy,
    Conflict,
    DeadlinePassed,
    Defect,
    Failed,
    Forbidden,
    NotFound,
    NotReady,
    Refusal,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unservable,
)

STATUSES: dict[type[Refusal], grpc.StatusCode] = {
    BadInput: grpc.StatusCode.INVALID_ARGUMENT,
    Conflict: grpc.StatusCode.ALREADY_EXISTS,
    Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    NotReady: grpc.StatusCode.UNAVAILABLE,
    TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TooMany: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    Busy: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlinePassed: grpc.StatusCode.DEADLINE_EXCEEDED,
    Unservable: grpc.StatusCode.FAILED_PRECONDITION,
    Failed: grpc.StatusCode.INTERNAL,
    # As the library answers for exceptions of its own accord.
    Defect: grpc.StatusCode.UNKNOWN,
}

STREAMS = 256
"""Calls at once on one connection."""

IDLE_MILLISECONDS = 75_000
"""For a connection without a call."""

Call = Callable[[Message, grpc.aio.ServicerContext], Awaitable[Message]]
Guarded = Callable[[grpc.aio.ServicerContext, float], Awaitable[bytes]]
Answering = Callable[[object, grpc.aio.ServicerContext], Awaitable[bytes]]


class GrpcServer:
    """Answers on a port of its own."""

    def __init__(self, server: grpc.aio.Server, standard: Standard, port: int) -> None:
        self._server = server
        self._standard = standard
        self.port = port

    @classmethod
    async def start(cls, plane: DataPlane, host: str, port: int) -> GrpcServer:
        """Take the port and answer; port 0 takes a free one. Raises TargetError when the port is taken."""
        largest = plane.limits.body
        options = [("grpc.max_receive_message_length", largest), ("grpc.max_send_message_length", -1)]
        options += [("grpc.max_concurrent_streams", STREAMS), ("grpc.max_connection_idle_ms", IDLE_MILLISECONDS)]
        server = grpc.aio.server(options=[*options, ("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((_handler(plane, Arrivals(plane.limits)),))
        standard = Standard(server)
        try:
            taken = server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise TargetError("the gRPC port cannot be taken", where=f"{host}:{port}", hint="name another") from error
        await server.start()
        return cls(server, standard, taken)

    async def stop(self, seconds: float) -> None:
        """Accept no more calls, and let those under way be answered for at most `seconds`."""
        await self._standard.stop()
        await self._server.stop(seconds)


def _handler(plane: DataPlane, arrivals: Arrivals) -> grpc.GenericRpcHandler:
    calls = Calls(plane)
    # To the library every request is a stream, which looks the same to clients: it then leaves the waiting for the
    # message, and the reading of it, to us.
    handlers = {
        name: grpc.stream_unary_rpc_method_handler(
            _with_statuses(
                _guarded(calls.infer if name == INFER else _parsed(getattr(calls, name), name), name, plane, arrivals)
            )
        )
        for name in CALLS
    }
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def _parsed(call: Call, name: str) -> Infer:
    """A call whose messages are short, over their bytes."""
    request = CALLS[name][0]

    async def over_bytes(raw: bytes, context: grpc.aio.ServicerContext, _: float) -> bytes:
        answer: bytes = (await call(parsed(request, raw), context)).SerializeToString()
        return answer

    return over_bytes


def _guarded(call: Infer, name: str, plane: DataPlane, arrivals: Arrivals) -> Guarded:
    """The call for a caller who may make it; its message is read only then."""
    role: Role | None = None if name in OPEN else "admin" if name in ADMIN else "infer"

    async def guarded(context: grpc.aio.ServicerContext, began: float) -> bytes:
        if plane.gate is None:
            return await call(await arrivals.message(context.read), context, began)
        headers = headers_of(context)
        try:
            place = await plane.gate.enter_later(headers, role)
        except Refusal as refusal:
            plane.refused_before("", headers, context.peer(), refusal)
            raise
        try:
            message = await arrivals.message(context.read)
            if place is not None:
                place.charge(len(message))
            return await call(message, context, began)
        finally:
            if place is not None:
                place.leave()

    return guarded


def _with_statuses(call: Guarded) -> Answering:
    """The call from its first byte on, with the status of the refusal that it raises."""

    async def answered(_: object, context: grpc.aio.ServicerContext) -> bytes:
        began = time.perf_counter()
        try:
            return await call(context, began)
        except Refusal as refusal:
            await context.abort(STATUSES[type(refusal)], str(refusal))
        raise AssertionError("abort raises")

    return answered
