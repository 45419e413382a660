"""The protocol's calls, over the data plane."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import grpc
from google.protobuf.message import DecodeError

from plimsoll.runtime.server.data_plane import DataPlane
from plimsoll.runtime.server.fronts import open_inference
from plimsoll.runtime.server.fronts.open_inference_grpc.messages import Message, request_of, response_of
from plimsoll.runtime.server.fronts.open_inference_grpc.wire import typed_bytes
from plimsoll.runtime.server.inference import InferenceCall
from plimsoll.runtime.server.protocol import calls
from plimsoll.runtime.server.reading import Reading
from plimsoll.runtime.server.refusals import BadInput
from plimsoll.runtime.server.request import InferenceRequest
from plimsoll.runtime.server.served import Served
from plimsoll.runtime.specs import TensorSpec
from plimsoll.runtime.tensors import Array, BadTensor

CALLS = calls()
"""Name to the classes of the request and of the response."""
INFER = "ModelInfer"
OPEN = frozenset({"ServerLive", "ServerReady"})
"""Calls that answer everybody: probes of health."""
ADMIN = frozenset({"RepositoryModelLoad", "RepositoryModelUnload"})
"""Calls that change the server."""
Infer = Callable[[bytes, grpc.aio.ServicerContext, float], Awaitable[bytes]]
"""A call over the bytes of its messages, and when it began, by `time.perf_counter`."""
LONG = 64 << 10
"""Bytes of a message above which it is read in a thread."""


class GrpcCall(InferenceCall[bytes]):
    """One inference over gRPC."""

    __slots__ = ("_message", "_read", "spent")

    _read: InferenceRequest

    def __init__(self, message: Message, context: grpc.aio.ServicerContext, began: float) -> None:
        super().__init__(message.model_name, message.model_version or None, headers_of(context), context.peer())
        self._message = message
        self.spent = time.perf_counter() - began

    def read(self, served: Served) -> InferenceRequest:
        """The arrays of the message. Raises BadTensor."""
        request = self._read = request_of(self._message, served.model)
        return request

    def is_long(self, served: Served) -> bool:
        """Always: only long messages are asked."""
        return True

    def read_long(self, served: Served, reading: Reading) -> InferenceRequest:
        """The arrays of a long message; called in a thread. Raises BadTensor, TimeoutError."""
        request = self._read = request_of(self._message, served.model, reading.still_wanted)
        return request

    def write(self, results: dict[str, Array]) -> bytes:
        """The response message."""
        answer: bytes = response_of(self._read, self.served.name, self.served.version, results).SerializeToString()
        return answer


class Calls:
    """One method for each call, named as in the protocol but for `infer`. All raise the refusals of the data plane."""

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
            platform=open_inference.PLATFORMS[metadata.kind],
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
        await self._plane.load(request.model_name, headers_of(context), context.peer())
        return _response("RepositoryModelLoad")()

    async def RepositoryModelUnload(self, request: Message, context: grpc.aio.ServicerContext) -> Message:  # noqa: N802
        """Unload a model."""
        await self._plane.unload(request.model_name, headers_of(context), context.peer())
        return _response("RepositoryModelUnload")()

    async def infer(self, raw: bytes, context: grpc.aio.ServicerContext, began: float) -> bytes:
        """ModelInfer, from bytes to bytes: messages are long, and are read and written where they delay nobody."""
        if len(raw) <= LONG:
            return await self._plane.infer(GrpcCall(parsed(CALLS[INFER][0], raw), context, began))
        with self._plane.reading(began) as reading:
            message = await self._plane.beside(began, _counted, raw, reading)
            return await self._plane.infer_long(GrpcCall(message, context, began))


def _counted(raw: bytes, reading: Reading) -> Message:
    """A long message, whose parts are counted first. Raises BadInput, Busy, TooLarge, TimeoutError."""
    try:
        typed = typed_bytes(memoryview(raw), reading.still_wanted)
    except BadTensor as bad:
        raise BadInput(str(bad)) from bad
    # The message itself, its copy in protobuf, and numbers that are sent in one byte and become eight.
    reading.reserve(2 * len(raw) + 8 * typed)
    return parsed(CALLS[INFER][0], raw)


def parsed(request: Message, raw: bytes) -> Message:
    """The message of a class in these bytes. Raises BadInput."""
    try:
        return request.FromString(raw)
    except DecodeError as error:
        raise BadInput(f"the request is not a message of the protocol: {error}") from error


def headers_of(context: grpc.aio.ServicerContext) -> dict[str, str]:
    """The metadata of a call that are texts."""
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def _tensor(spec: TensorSpec) -> dict[str, object]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


def _response(call: str) -> Message:
    return CALLS[call][1]
