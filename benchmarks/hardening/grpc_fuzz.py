"""Messages over gRPC: valid ones, and changes of their bytes. Protobuf and the reference reader say what they hold."""

from __future__ import annotations

import time
from random import Random
from typing import Any

import numpy as np

from benchmarks.hardening import reference
from benchmarks.hardening.answers import same
from benchmarks.hardening.findings import Findings
from benchmarks.hardening.inference_requests import DATATYPES, drawn, packed
from benchmarks.hardening.mutation import mutated
from benchmarks.hardening.reference import Array, Refused, Unclear
from benchmarks.hardening.server import Attacked

AREA = "grpc"
LIMIT = 20.0
"""Seconds for an answer."""
FIELDS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
BLAMES_ITSELF = frozenset({"UNKNOWN", "INTERNAL", "DATA_LOSS", "UNAVAILABLE", "DEADLINE_EXCEEDED"})
"""Statuses by which a server says that the fault is its own."""
OTHERS = ("ServerLive", "ServerMetadata", "ModelReady", "ModelMetadata", "RepositoryIndex")


class GrpcFuzz:
    """Sends one case after the other; `random` decides all of them."""

    def __init__(self, server: Attacked, findings: Findings, random: Random) -> None:
        from plimsoll.runtime.server.protocol import SERVICE, calls

        self._server, self._findings, self._random = server, findings, random
        self._service, self._calls = SERVICE, calls()
        self.cases = 0

    def run(self, seconds: float) -> None:
        """Send cases for so long."""
        import grpc

        end, checked, raw = time.monotonic() + seconds, 0.0, b""
        with grpc.insecure_channel(f"127.0.0.1:{self._server.grpc_port}") as channel:
            while (now := time.monotonic()) < end:
                call, raw, valid = self._drawn()
                send: Any = channel.unary_unary(f"/{self._service}/{call}")
                try:
                    answer, status, said = send(raw, timeout=LIMIT), "OK", ""
                except grpc.RpcError as error:
                    # The error is the call as well, which the library's types do not say.
                    call_: Any = error
                    answer, status, said = b"", call_.code().name, str(call_.details())
                if wrong := self._problem(call, raw, valid, status, answer):
                    self._findings.add(AREA, f"{call}: {wrong} {said[:80]}".rstrip(), raw)
                self.cases += 1
                if now - checked > 1:
                    checked = now
                    self._server.check(AREA, raw)
        self._server.check(AREA, raw)

    def _drawn(self) -> tuple[str, bytes, bool]:
        if self._random.random() < 0.1:
            call = self._random.choice(OTHERS)
            raw = self._calls[call][0]().SerializeToString()
            return call, mutated(self._random, raw or b"\x0a\x01m"), False
        raw = self._inference()
        way = self._random.random()
        if way < 0.3:
            return "ModelInfer", raw, True
        return "ModelInfer", self._reshaped(raw) if way < 0.45 else mutated(self._random, raw), False

    def _reshaped(self, raw: bytes) -> bytes:
        """The same message, in which one dimension is another."""
        message = self._calls["ModelInfer"][0].FromString(raw)
        shape = self._random.choice(list(message.inputs)).shape
        shape[self._random.randrange(len(shape))] = self._random.choice((0, 1, -1, 2**31, 2**40, 2**62, 2**63 - 1))
        return bytes(message.SerializeToString())

    def _inference(self) -> bytes:
        model = self._random.choice(list(DATATYPES))
        message = self._calls["ModelInfer"][0](model_name=model, id=self._random.choice(("", "é", "x" * 99)))
        typed = self._random.random() < 0.5 and "FP16" not in DATATYPES[model].values()
        for name, datatype in DATATYPES[model].items():
            shape = (self._random.choice((1, 2, 7)), self._random.choice((1, 3, 20)))
            array = drawn(self._random, datatype, shape)
            tensor = message.inputs.add(name=name, datatype=datatype, shape=shape)
            if typed:
                values = [str(v).encode() for v in array.ravel()] if datatype == "BYTES" else array.ravel().tolist()
                getattr(tensor.contents, FIELDS[datatype]).extend(values)
            else:
                message.raw_input_contents.append(packed(array))
        return bytes(message.SerializeToString())

    def _problem(self, call: str, raw: bytes, valid: bool, status: str, answer: bytes) -> str | None:
        if status in BLAMES_ITSELF:
            return f"status {status} from input"
        if valid and status != "OK":
            return f"a valid message is answered with {status}"
        if call != "ModelInfer" or status != "OK":
            return None
        message = self._calls[call][0].FromString(raw)
        response = self._calls[call][1].FromString(answer)
        datatypes = DATATYPES.get(message.model_name)
        if datatypes is None:
            return None
        try:
            read = _read(message, datatypes)
        except Refused as reason:
            return f"it answers what cannot be read so: {reason}"
        except Unclear:
            return None
        if len(response.raw_output_contents) != len(response.outputs) or response.id != message.id:
            return "outputs or id do not fit"
        for output, content in zip(response.outputs, response.raw_output_contents, strict=True):
            found = reference.from_bytes(content, output.datatype, tuple(output.shape))
            if not same(found, read[output.name.removesuffix("_out")], exact=0):
                return f"another value in {output.name} ({message.model_name})"
        return None


def _read(message: Any, datatypes: dict[str, str]) -> dict[str, Array]:
    """The arrays of a message. Raises Refused, Unclear."""
    raw = list(message.raw_input_contents)
    if raw and len(raw) != len(message.inputs):
        raise Refused("the number of raw_input_contents")
    found: dict[str, Array] = {}
    for number, tensor in enumerate(message.inputs):
        shape = tuple(tensor.shape)
        if tensor.name in found or datatypes.get(tensor.name) != tensor.datatype or min(shape, default=0) < 0:
            raise Refused("an input's name, datatype or shape")
        if raw:
            found[tensor.name] = reference.from_bytes(raw[number], tensor.datatype, shape)
            continue
        if tensor.datatype not in FIELDS:
            raise Unclear("no field for the datatype")
        values = list(getattr(tensor.contents, FIELDS[tensor.datatype]))
        found[tensor.name] = _typed(values, tensor.datatype, shape)
    if len(found) != len(datatypes):
        raise Refused("an input is missing")
    return found


def _typed(values: list[Any], datatype: str, shape: tuple[int, ...]) -> Array:
    if datatype == "BYTES":
        try:
            values = [value.decode() for value in values]
        except UnicodeDecodeError:
            raise Unclear("bytes that are no text") from None
    if datatype.startswith("FP"):
        # A message has floats, infinities among them: nothing is to be converted.
        if len(values) != int(np.prod(shape)):
            raise Refused("the number of elements")
        array: Array = np.array(values, dtype=reference.KINDS[datatype]).reshape(shape)
        return array
    return reference.from_values(values, datatype, shape)
