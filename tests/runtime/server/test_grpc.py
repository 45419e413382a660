"""The protocol over gRPC, and the clients that people use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.measuring import peer_if_made
from tests.runtime.conftest import ADMIN, TYPES, Server, identity_model, linear_model

grpc = pytest.importorskip("grpc", reason="grpcio is not installed: pip install plimsoll[grpc]")

from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: E402
from grpc_reflection.v1alpha import reflection_pb2  # noqa: E402

from plimsoll.runtime.server.protocol import DESCRIPTOR, SERVICE, calls  # noqa: E402
from plimsoll.runtime.tensors import DTYPES  # noqa: E402


class Caller:
    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)

    def __call__(self, which: str, /, **fields: Any) -> Any:
        request, response = calls()[which]
        call = self.channel.unary_unary(
            f"/{SERVICE}/{which}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        return call(request(**fields), timeout=30, metadata=tuple(ADMIN.items()))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("grpc")
    server = Server(linear_model(directory / "m.onnx"), directory, "--grpc-port", "0")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def call(served: Server) -> Iterator[Caller]:
    caller = Caller(served.grpc)
    yield caller
    caller.channel.close()


X = {"name": "x", "datatype": "FP32", "shape": [2, 2]}
RAW = np.array([3, 1, 1, 1], dtype="<f4").tobytes()


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": [X], "raw_input_contents": [RAW]},
        {"inputs": [{**X, "contents": {"fp32_contents": [3, 1, 1, 1]}}]},
    ],
)
def test_tensors_come_raw_or_typed(call: Caller, fields: dict[str, Any]) -> None:
    answer = call("ModelInfer", model_name="m", id="7", **fields)
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "3", "7")
    assert [(o.name, o.datatype, list(o.shape)) for o in answer.outputs] == [
        ("score", "FP32", [2, 1]),
        ("label", "INT64", [2, 1]),
    ]
    assert np.frombuffer(answer.raw_output_contents[0], "<f4").tolist() == [1.0, -1.0]


@pytest.mark.parametrize(
    ("name", "fields", "code", "says"),
    [
        ("ModelInfer", {"model_name": "other"}, "NOT_FOUND", "no model 'other'"),
        ("ModelInfer", {"model_name": "m"}, "INVALID_ARGUMENT", "the input x is missing"),
        ("ModelInfer", {"model_name": "m", "inputs": [X]}, "INVALID_ARGUMENT", "contents has 0 elements"),
        ("ModelInfer", {"model_name": "m", "inputs": [X], "raw_input_contents": [b"1"]}, "INVALID_ARGUMENT", "1 bytes"),
        ("ModelInfer", {"model_name": "m", "inputs": [X, X]}, "INVALID_ARGUMENT", "contents has 0"),
        ("ModelMetadata", {"name": "m", "version": "9"}, "NOT_FOUND", "no version '9'"),
        ("RepositoryModelLoad", {"model_name": "z"}, "NOT_FOUND", "no model 'z' to load"),
    ],
)
def test_what_is_wrong_has_a_status_and_a_reason(
    call: Caller, name: str, fields: dict[str, Any], code: str, says: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        call(name, **fields)
    assert refused.value.code().name == code
    assert says in refused.value.details()


def test_a_long_message_is_read_beside_the_loop_with_the_same_result(call: Caller) -> None:
    rows = np.arange(60_000, dtype="<f4").reshape(-1, 2)
    tensor = {"name": "x", "datatype": "FP32", "shape": list(rows.shape)}

    raw = call("ModelInfer", model_name="m", inputs=[tensor], raw_input_contents=[rows.tobytes()])
    typed = call("ModelInfer", model_name="m", inputs=[{**tensor, "contents": {"fp32_contents": rows.ravel()}}])

    assert raw == typed
    assert np.frombuffer(raw.raw_output_contents[0], "<f4").tolist() == (rows[:, 0] - 2 * rows[:, 1]).tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"\x2a\x00" * 300_000, "more than 250000 parts"),
        (b"\x3a\x00" * 300_000, "more than 250000 parts"),
        (b"\x2a\xc0\xcf\x24" + b"\x22\x00" * 300_000, "more than 250000 parts"),
        (b"\x0a\x80\x80\x80\x09" + b"m" * (18 << 20), "bytes outside of raw_input_contents"),
        (b"\x2a\xff\xff\xff\xff\x7f" + b"\x00" * 70_000, "breaks off|not a message"),
        (b"\x07" * 70_000, "not a message of the protocol"),
        (b"\xff" * 10, "not a message of the protocol"),
    ],
)
def test_a_message_is_counted_before_protobuf_makes_objects_of_it(call: Caller, raw: bytes, says: str) -> None:
    infer = call.channel.unary_unary(f"/{SERVICE}/ModelInfer")
    with pytest.raises(grpc.RpcError) as refused:
        infer(raw, timeout=30)

    assert refused.value.code().name == "INVALID_ARGUMENT"
    assert re.search(says, refused.value.details())


def test_probes_and_tools_of_grpc_are_answered(call: Caller) -> None:
    health = health_pb2_grpc.HealthStub(call.channel)
    for service in ("", SERVICE):
        request = health_pb2.HealthCheckRequest(service=service)
        assert health.Check(request, timeout=10).status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as refused:
        health.Check(health_pb2.HealthCheckRequest(service="other"), timeout=10)
    assert refused.value.code().name == "NOT_FOUND"

    for version in ("v1alpha", "v1"):
        ask = call.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        listed, described = ask(
            iter(
                [
                    reflection_pb2.ServerReflectionRequest(list_services=""),
                    reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
                ]
            ),
            timeout=10,
        )
        assert {SERVICE, "grpc.health.v1.Health"} < {one.name for one in listed.list_services_response.service}
        assert b"ModelInfer" in described.file_descriptor_response.file_descriptor_proto[0]


@pytest.mark.slow
def test_who_watches_the_health_is_told_that_the_server_ends_and_does_not_hold_it_up(tmp_path: Path) -> None:
    server = Server(linear_model(tmp_path / "m.onnx"), tmp_path, "--grpc-port", "0", "--drain", "40")
    with grpc.insecure_channel(server.grpc) as channel:
        states = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        first = next(states).status
        assert server.stop() == 0

        assert first == health_pb2.HealthCheckResponse.SERVING
        assert next(states).status == health_pb2.HealthCheckResponse.NOT_SERVING


def test_health_metadata_and_index_are_as_over_http(call: Caller, served: Server) -> None:
    assert call("ServerLive").live
    assert call("ServerReady").ready
    assert call("ModelReady", name="m").ready
    over_http = served.client.get("/v2/models/m").json()
    metadata = call("ModelMetadata", name="m")
    assert [(t.name, t.datatype, list(t.shape)) for t in metadata.inputs] == [
        (t["name"], t["datatype"], t["shape"]) for t in over_http["inputs"]
    ]
    assert [line.state for line in call("RepositoryIndex").models] == ["READY"]


@pytest.mark.slow
def test_every_datatype_comes_back_bit_for_bit(tmp_path: Path) -> None:
    server = Server(identity_model(tmp_path / "m.onnx"), tmp_path, "--grpc-port", "0")
    caller = Caller(server.grpc)
    draw = np.random.default_rng(5)
    raw = {}
    for name in TYPES:
        kind = np.dtype(DTYPES[name])
        values = draw.integers(0, 2, 6).astype(kind) if kind.kind != "O" else None
        raw[name] = b"".join(b"\x03\x00\x00\x00abc" for _ in range(6)) if values is None else values.tobytes()
    try:
        inputs = [{"name": f"in_{name}", "datatype": name, "shape": [2, 3]} for name in TYPES]
        answer = caller("ModelInfer", model_name="m", inputs=inputs, raw_input_contents=list(raw.values()))
        got = {o.name[4:]: content for o, content in zip(answer.outputs, answer.raw_output_contents, strict=True)}
        assert got == raw
    finally:
        caller.channel.close()
        assert server.stop() == 0


def test_the_descriptor_is_what_its_source_compiles_to(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    made = tmp_path / "made.binpb"
    argv = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(DESCRIPTOR.parent), f"--descriptor_set_out={made}"]
    subprocess.run([*argv, "open_inference.proto"], check=True, timeout=50)
    assert made.read_bytes() == DESCRIPTOR.read_bytes()


CLIENTS = {"tritonclient": ["tritonclient[http,grpc]", "geventhttpclient"], "kserve": ["kserve", "onnxruntime"]}


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("client", CLIENTS)
def test_clients_that_people_use_work_unchanged(served: Server, client: str) -> None:
    """In environments of their own, which `python -m benchmarks serving --clients` makes."""
    python = peer_if_made(CLIENTS[client])
    if python is None:
        pytest.skip(f"there is no environment with {client}: python -m benchmarks.serving --clients")
    url = served.url if client == "kserve" else served.url.removeprefix("http://")
    script = Path(__file__).parents[1] / f"client_{client}.py"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    argv = [str(python), str(script), url, served.grpc]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=110, env=environment, check=False)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    if client == "tritonclient":
        expected: dict[str, object] = {
            "live": True,
            "ready": True,
            "model": True,
            "gone": False,
            "refused": True,
            "index": 1,
            "inputs": 1,
        }
        expected |= {"score": [[1.0], [-1.0]], "label": [[1], [0]]}
        assert told == {"http": expected, "grpc": expected}
    else:
        scores = [[[1.0], [-1.0]]] * 2
        yes = [True, True]
        assert told == {"rest": scores, "grpc": scores, "ready": yes, "live": yes, "model": yes}
