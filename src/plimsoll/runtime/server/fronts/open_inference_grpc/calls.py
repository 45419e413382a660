"""The protocol's calls, over the data plane."""

from __future__ import annotations

import grpc

from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.fronts import open_inference
from plimsoll.runtime.server.fronts.open_inference_grpc.messages import Message, request_of, response_of
from plimsoll.runtime.server.inference import InferenceCall
from plimsoll.runtime.server.protocol import calls
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.served import Served
from plimsoll.runtime.specs import TensorSpec
from plimsoll.runtime.tensors import Array

CALLS = calls()
"""Name to the classes of the request and of the response."""


class GrpcCall(InferenceCall[Message]):
    """One inference over gRPC."""

    __slots__ = ("_message", "_read")

    _read: InferenceRequest

    def __init__(self, message: Message, context: grpc.aio.ServicerContext) -> None:
        super().__init__(message.model_name, message.model_version or None, _headers(context), context.peer())
        self._message = message

    def read(self, served: Served) -> InferenceRequest:
        """The arrays of the message. Raises BadTensor."""
        request = self._read = request_of(self._message, served.model)
        return request

    def write(self, results: dict[str, Array]) -> Message:
        """The response message."""
        return response_of(self._read, self.served.name, self.served.version, results)


class Calls:
    """One method for each call, named as in the protocol. All raise the refusals of the data plane."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    async def ServerLive(self, _: Message, __: grpc.aio.ServicerContext) -> Message:  # noqa: N802
        """Whether the process answers."""
        return _response("ServerLive")(live=True)

    async def ServerReady(self, _: Message, __: grpc.aio.ServicerContext) -> Message:  # noqa: N802
        """Whether the server accepts requests."""
        return _response("ServerReady")(ready=self._plane.accepting)

    async def ServerMetadata(self, _: Message, __: grpc.aio.ServicerContext) -> Message:  # noqa: N802
        """The server's name, version and extensions."""
        return _response("ServerMetadata")(
            name=open_inference.NAME, version=open_inference.VERSION, extensions=open_inference.EXTENSIONS
        )

    async def ModelReady(self, request: Message, _: grpc.aio.ServicerContext) -> Message:  # noqa: N802
        """Whether a model answers requests."""
        return _response("ModelReady")(ready=self._plane.model_ready(request.name, request.version or None))

    async def ModelMetadata(self, request: Message, _: grpc.aio.ServicerContext) -> Message:  # noqa: N802
        """What a model takes and gives."""
        metadata = self._plane.metadata(request.name, request.version or None)
        spec = metadata.spec
        words = {"features": spec.features, "classes": spec.classes}
        return _response("ModelMetadata")(
            name=spec.name,
            versions=metadata.versions,
            platform=open_inference.PLATFORM,
            inputs=[_tensor(tensor) for tensor in spec.inputs],
            outputs=[_tensor(tensor) for tensor in spec.outputs],
            properties={name: ",".join(each) for name, each in words.items() if each},
        )

    async def RepositoryIndex(self, request: Message, _: grpc.aio.ServicerContext) -> Message:  # noqa: N802
        """Every version that the server is configured to serve, or every loaded one."""
        lines = [line for line in self._plane.index() if line.state == "READY" or not request.ready]
        models = [
            {"name": line.name, "version": line.version, "state": line.state, "reason": line.reason} for line in lines
        ]
        return _response("RepositoryIndex")(models=models)

    async def RepositoryModelLoad(self, request: Message, context: grpc.aio.ServicerContext) -> Message:  # noqa: N802
        """Load a model again."""
        await self._plane.load(request.model_name, _headers(context), context.peer())
        return _response("RepositoryModelLoad")()

    async def RepositoryModelUnload(self, request: Message, context: grpc.aio.ServicerContext) -> Message:  # noqa: N802
        """Unload a model."""
        await self._plane.unload(request.model_name, _headers(context), context.peer())
        return _response("RepositoryModelUnload")()

    async def ModelInfer(self, request: Message, context: grpc.aio.ServicerContext) -> Message:  # noqa: N802
        """One inference."""
        return await self._plane.infer(GrpcCall(request, context))


def _headers(context: grpc.aio.ServicerContext) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


def _response(call: str) -> Message:
    return CALLS[call][1]
