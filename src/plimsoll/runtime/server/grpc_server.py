"""The Open Inference Protocol v2 over gRPC: the same catalog, limits and counts as over HTTP.

Source: Open Inference Protocol v2 (gRPC). Tensors come in `raw_input_contents`, or typed in `contents`; answers have
`raw_output_contents`, as clients of the protocol's origin expect.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import numpy as np

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.runtime.model import OnnxModel
from plimsoll.runtime.server.application import Application, Inference, Refused
from plimsoll.runtime.server.catalog import NoModel, Unavailable
from plimsoll.runtime.server.exchange import Question
from plimsoll.runtime.server.protocol import SERVICE, calls
from plimsoll.runtime.tensors import Array, BadTensor, datatype_of, dtype_of, from_binary, to_binary

CALLS = calls()
CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where a tensor of each datatype stands in `contents`. FP16 has no place there: it comes raw."""


class GrpcServer:
    """Answers on a port of its own."""

    def __init__(self, server: grpc.aio.Server, port: int) -> None:
        self._server = server
        self.port = port

    @classmethod
    async def start(cls, application: Application, host: str, port: int) -> GrpcServer:
        """Take the port and answer. Raises TargetError when it is taken."""
        largest = application.limits.body
        options = [("grpc.max_receive_message_length", largest), ("grpc.max_send_message_length", -1)]
        server = grpc.aio.server(options=[*options, ("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((_handler(Calls(application)),))
        try:
            taken = server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise TargetError("the gRPC port cannot be taken", where=f"{host}:{port}", hint="name another") from error
        await server.start()
        return cls(server, taken)

    async def stop(self, seconds: float) -> None:
        """Take no more, and let what is under way be answered."""
        await self._server.stop(seconds)


def _handler(calls: Calls) -> grpc.GenericRpcHandler:
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            _answered(getattr(calls, name)),
            request_deserializer=request.FromString,
            response_serializer=response.SerializeToString,
        )
        for name, (request, response) in CALLS.items()
    }
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def _answered(call: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    """The call, with what it raises as statuses."""

    async def answered(request: Any, context: grpc.aio.ServicerContext) -> Any:
        try:
            return await call(request, context)
        except BadTensor as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except NoModel as error:
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        except Unavailable as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except Refused as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the model did not answer in time")
        except PlimsollError as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, error.on_one_line())
        return None

    return answered


class Calls:
    """One method for each of the protocol's calls, named as there."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._catalog = application.catalog

    async def ServerLive(self, _: Any, __: Any) -> Any:  # noqa: N802
        """Whether the process answers."""
        return _response("ServerLive")(live=True)

    async def ServerReady(self, _: Any, __: Any) -> Any:  # noqa: N802
        """Whether it takes requests."""
        return _response("ServerReady")(ready=self._application.ready)

    async def ServerMetadata(self, _: Any, __: Any) -> Any:  # noqa: N802
        """What it is."""
        return _response("ServerMetadata")(**self._application.server_metadata())

    async def ModelReady(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Whether a model takes requests."""
        try:
            self._catalog.choose(request.name, request.version or None, {})
        except Unavailable:
            return _response("ModelReady")(ready=False)
        return _response("ModelReady")(ready=self._application.ready)

    async def ModelMetadata(self, request: Any, _: Any) -> Any:  # noqa: N802
        """What a model takes and gives."""
        metadata = self._application.metadata(request.name, request.version or None)
        tensors = {
            side: [{"name": t.name, "datatype": t.datatype, "shape": t.shape} for t in metadata[side]]
            for side in ("inputs", "outputs")
        }
        properties = {name: ",".join(words) for name, words in metadata.get("parameters", {}).items()}
        return _response("ModelMetadata")(
            name=metadata["name"],
            versions=metadata["versions"],
            platform=metadata["platform"],
            properties=properties,
            **tensors,
        )

    async def RepositoryIndex(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Every version that there is to serve."""
        lines = [line for line in self._catalog.index() if line.state == "READY" or not request.ready]
        models = [
            {"name": line.name, "version": line.version, "state": line.state, "reason": line.reason} for line in lines
        ]
        return _response("RepositoryIndex")(models=models)

    async def RepositoryModelLoad(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Load a model anew."""
        await self._application.changed("load", request.model_name)
        return _response("RepositoryModelLoad")()

    async def RepositoryModelUnload(self, request: Any, _: Any) -> Any:  # noqa: N802
        """Let a model go."""
        await self._application.changed("unload", request.model_name)
        return _response("RepositoryModelUnload")()

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        """One inference."""
        began = time.perf_counter()
        application = self._application
        application.inferences += 1
        headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        served = self._catalog.choose(request.model_name, request.model_version or None, headers)
        inference = Inference(served, began, headers, context.peer())
        try:
            question = inference.question = question_of(request, served.model)
            results = await application.results(inference, question)
        except (BadTensor, Refused, TimeoutError) as error:
            status = {BadTensor: 400, TimeoutError: 504}.get(type(error), 503)
            application.note(inference, status, reason=str(error))
            raise
        application.note(inference, 200, results=results)
        return _answer(question, served.name, served.version, results)


def question_of(request: Any, model: OnnxModel) -> Question:
    """The arrays of a `ModelInferRequest`. Raises BadTensor."""
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise BadTensor(f"there are {len(raw)} raw_input_contents for {len(request.inputs)} inputs")
    inputs: dict[str, Array] = {}
    for number, tensor in enumerate(request.inputs):
        if tensor.name in inputs:
            raise BadTensor(f"input '{tensor.name[:80]}' is given twice")
        dtype_of(tensor.datatype)
        shape = tuple(tensor.shape)
        model.check(tensor.name, tensor.datatype, shape)
        if raw and tensor.HasField("contents"):
            raise BadTensor(f"input '{tensor.name[:80]}': it has both contents and raw_input_contents")
        try:
            data = from_binary(memoryview(raw[number]), tensor.datatype, shape) if raw else _typed(tensor, shape)
        except BadTensor as error:
            raise BadTensor(f"input '{tensor.name[:80]}': {error}") from error
        inputs[tensor.name] = data
    outputs = tuple(output.name for output in request.outputs)
    return Question(inputs=inputs, id=request.id or None, outputs=outputs, parameters=_parameters(request.parameters))


def _typed(tensor: Any, shape: tuple[int, ...]) -> Array:
    """The array of a tensor in `contents`. Raises BadTensor."""
    place = CONTENTS.get(tensor.datatype)
    if place is None:
        raise BadTensor(f"{tensor.datatype} has no place in contents; send it in raw_input_contents")
    values = getattr(tensor.contents, place)
    if any(size < 0 for size in shape) or len(values) != math.prod(shape):
        raise BadTensor(f"contents has {len(values)} elements in {place}, shape {list(shape)} wants {math.prod(shape)}")
    if tensor.datatype == "BYTES":
        array = np.empty(len(values), dtype=np.object_)
        try:
            array[:] = [value.decode() for value in values]
        except UnicodeDecodeError as error:
            raise BadTensor("BYTES has an element that is not UTF-8 text") from error
        return array.reshape(shape)
    kind = dtype_of(tensor.datatype)
    try:
        return np.array(values, dtype=kind).reshape(shape)
    except OverflowError as error:
        raise BadTensor(f"contents has values beyond the range of {tensor.datatype}") from error


def _parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in parameters.items():
        choice = value.WhichOneof("parameter_choice")
        if choice is not None:
            found[name] = getattr(value, choice)
    return found


def _answer(question: Question, model: str, version: str, results: Mapping[str, Array]) -> Any:
    outputs = [{"name": name, "datatype": datatype_of(array), "shape": array.shape} for name, array in results.items()]
    return _response("ModelInfer")(
        model_name=model,
        model_version=version,
        id=question.id or "",
        outputs=outputs,
        raw_output_contents=[bytes(to_binary(array)) for array in results.values()],
    )


def _response(call: str) -> Any:
    return CALLS[call][1]
