"""The gRPC server: its port, and refusals to statuses."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

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
from plimsoll.runtime.server.identities.callers import Role, Shown, present
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

if TYPE_CHECKING:
    from plimsoll.runtime.server.tls.contexts import ServerTls

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
    async def start(cls, plane: DataPlane, host: str, port: int, tls: ServerTls | None = None) -> GrpcServer:
        """Take the port and answer; port 0 takes a free one. Raises TargetError when the port is taken."""
        largest = plane.limits.body
        options = [("grpc.max_receive_message_length", largest), ("grpc.max_send_message_length", -1)]
        options += [("grpc.max_concurrent_streams", STREAMS), ("grpc.max_connection_idle_ms", IDLE_MILLISECONDS)]
        server = grpc.aio.server(options=[*options, ("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((_handler(plane, Arrivals(plane.limits), tls),))
        standard = Standard(server)
        try:
            where = f"{host}:{port}"
            taken = server.add_insecure_port(where) if tls is None else server.add_secure_port(where, credentials(tls))
        except RuntimeError as error:
            raise TargetError("the gRPC port cannot be taken", where=f"{host}:{port}", hint="name another") from error
        await server.start()
        return cls(server, standard, taken)

    async def stop(self, seconds: float) -> None:
        """Accept no more calls, and let those under way be answered for at most `seconds`."""
        await self._standard.stop()
        await self._server.stop(seconds)


def _handler(plane: DataPlane, arrivals: Arrivals, tls: ServerTls | None) -> grpc.GenericRpcHandler:
    calls = Calls(plane)
    # To the library every request is a stream, which looks the same to clients: it then leaves the waiting for the
    # message, and the reading of it, to us.
    handlers = {
        name: grpc.stream_unary_rpc_method_handler(
            _with_statuses(
                _guarded(
                    calls.infer if name == INFER else _parsed(getattr(calls, name), name), name, plane, arrivals, tls
                )
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


def _guarded(call: Infer, name: str, plane: DataPlane, arrivals: Arrivals, tls: ServerTls | None) -> Guarded:
    """The call for a caller who may make it; its message is read only then."""
    role: Role | None = None if name in OPEN else "admin" if name in ADMIN else "infer"

    async def guarded(context: grpc.aio.ServicerContext, began: float) -> bytes:
        if plane.gate is None:
            return await call(await arrivals.message(context.read), context, began)
        headers = headers_of(context)
        try:
            place = await plane.gate.enter_later(headers, role, shown=_shown(context, tls))
        except Refusal as refusal:
            plane.refused_before("", headers, context.peer(), refusal)
            raise
        try:
            message = await arrivals.message(context.read)
            if place is not None:
                place.charge(len(message))
            share = plane.gate.share_of(present.get())
            if share is not None and not share.change(len(message)):
                share.change(-len(message))
                beyond = share.refusal()
                plane.refused_before("", headers, context.peer(), beyond)
                raise beyond
            try:
                return await call(message, context, began)
            finally:
                if share is not None:
                    share.change(-len(message))
        finally:
            if place is not None:
                place.leave()

    return guarded


def _shown(context: grpc.aio.ServicerContext, tls: ServerTls | None) -> Shown | None:
    """The certificate of a caller, which the library has held against the authorities."""
    if tls is None or not tls.knows_clients:
        return None
    from plimsoll.runtime.server.identities.certificates import shown_by

    # The library does not tell when a connection was opened: after a change of the authorities all are asked again.
    found = context.auth_context().get("x509_pem_cert")
    return shown_by(next(iter(found)), 0) if found else None


def credentials(tls: ServerTls) -> grpc.ServerCredentials:
    """The server's certificate as the library asks for it at each new connection."""

    def present() -> grpc.ServerCertificateConfiguration:
        material = tls.material
        pair = (material.key, material.chain)
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=material.clients or None)

    # The library asks a client for its certificate always or never.
    return grpc.dynamic_ssl_server_credentials(present(), present, require_client_authentication=tls.knows_clients)


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
