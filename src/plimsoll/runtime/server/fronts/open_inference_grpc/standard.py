"""Services that gRPC's own tools ask for: health (`grpc_health_probe`, probes of Kubernetes) and reflection (grpcurl).

Sources: gRPC's health checking protocol v1 and its server reflection protocol, v1alpha and v1, which are alike.
"""

from __future__ import annotations

import asyncio

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from plimsoll.runtime.server.protocol import SERVICE, add_to

REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"


class Standard(health.aio.HealthServicer):  # type: ignore[misc]  # the library's types are not read
    """Says that the server answers until it is stopped, and which services it has."""

    def __init__(self, server: grpc.aio.Server) -> None:
        super().__init__()
        self._server_status[SERVICE] = self._server_status[""]
        self._watchers: set[asyncio.Task[None]] = set()
        health_pb2_grpc.add_HealthServicer_to_server(self, server)
        _add_reflection(server)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext) -> None:  # noqa: N802
        """Send each new state until the client or the server ends."""
        task = asyncio.ensure_future(super().Watch(request, context))
        self._watchers.add(task)
        try:
            await asyncio.wait({task})
        finally:
            self._watchers.discard(task)
            task.cancel()

    async def stop(self) -> None:
        """Say that the server answers no more, and end the calls that would wait for another state."""
        await self.enter_graceful_shutdown()
        for task in list(self._watchers):
            # The last state is sent in the turns of the loop that the watcher has here.
            await asyncio.wait({task}, timeout=0.05)
            task.cancel()


def _add_reflection(server: grpc.aio.Server) -> None:
    names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME, REFLECTION_V1)
    # The messages of the protocol are in a pool of their own; here all descriptors are in one.
    pool = DescriptorPool()
    add_to(pool)
    for module in (health_pb2, reflection_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    servicer = reflection.aio.ReflectionServicer(names, pool=pool)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    under_v1 = grpc.method_handlers_generic_handler(REFLECTION_V1, {"ServerReflectionInfo": handler})
    server.add_generic_rpc_handlers((under_v1,))
