"""The gRPC server: its port, and refusals to statuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc

from plimsoll.errors import TargetError
from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.fronts.open_inference_grpc.calls import CALLS, INFER, Calls
from plimsoll.runtime.server.fronts.open_inference_grpc.messages import Message
from plimsoll.runtime.server.fronts.open_inference_grpc.standard import Standard
from plimsoll.runtime.server.protocol import SERVICE
from plimsoll.runtime.server.refusals import (
    BadInput,
    Busy,
    DeadlinePassed,
    Defect,
    Forbidden,
    NotFound,
    NotReady,
    Refusal,
    TooLarge,
    Unservable,
)

STATUSES: dict[type[Refusal], grpc.StatusCode] = {
    BadInput: grpc.StatusCode.INVALID_ARGUMENT,
    Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    NotReady: grpc.StatusCode.UNAVAILABLE,
    TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Busy: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlinePassed: grpc.StatusCode.DEADLINE_EXCEEDED,
    Unservable: grpc.StatusCode.FAILED_PRECONDITION,
    # As the library answers for exceptions of its own accord.
    Defect: grpc.StatusCode.UNKNOWN,
}

STREAMS = 256
"""Calls at once on one connection."""

Call = Callable[[Message, grpc.aio.ServicerContext], Awaitable[Message]]


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
        options += [("grpc.max_concurrent_streams", STREAMS)]
        server = grpc.aio.server(options=[*options, ("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((_handler(Calls(plane)),))
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


def _handler(calls: Calls) -> grpc.GenericRpcHandler:
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _with_statuses(getattr(calls, name)),
            # Inferences are long, so that they are read and written where they delay nobody.
            request_deserializer=None if name == INFER else request.FromString,
            response_serializer=None if name == INFER else response.SerializeToString,
        )
        for name, (request, response) in CALLS.items()
    }
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def _with_statuses(call: Call) -> Call:
    """The call, with the status of the refusal that it raises."""

    async def answered(request: Message, context: grpc.aio.ServicerContext) -> Message:
        try:
            return await call(request, context)
        except Refusal as refusal:
            await context.abort(STATUSES[type(refusal)], str(refusal))
        return None

    return answered
