from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plimsoll.runtime.server.observers import Answer, Observer, Reply
from plimsoll.runtime.tensors import DTYPES

from .conftest import Server, linear_model, until
from .inference_requests import GOOD, INFER, changed


def test_an_inference_gives_every_output_with_datatype_and_shape(linear: Server) -> None:
    answer = linear.client.post(INFER, json=GOOD)
    assert answer.status_code == 200
    assert answer.json() == {
        "model_name": "m",
        "model_version": "3",
        "id": "7",
        "outputs": [
            {"name": "score", "datatype": "FP32", "shape": [2, 1], "data": [1.0, -1.0]},
            {"name": "label", "datatype": "INT64", "shape": [2, 1], "data": [1, 0]},
        ],
    }


def test_nested_data_is_the_same_as_flat(linear: Server) -> None:
    nested = linear.client.post(INFER, json=changed(data=[[3, 1], [1, 1]])).json()
    assert nested == linear.client.post(INFER, json=GOOD).json()


def test_only_the_outputs_that_are_asked_for_come(linear: Server) -> None:
    answer = linear.client.post(INFER, json={**GOOD, "outputs": [{"name": "label"}]}).json()
    assert [output["name"] for output in answer["outputs"]] == ["label"]


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("/v2", "extensions", ["binary_tensor_data", "model_repository"]),
        ("/v2/health/live", "live", True),
        ("/v2/health/ready", "ready", True),
        ("/v2/models/m/ready", "ready", True),
        ("/v2/models/m/versions/3", "versions", ["3"]),
        ("/v2/models/m", "inputs", [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]),
        ("/v2/models/m", "parameters", {"features": ["left", "right"], "classes": ["below", "above"]}),
    ],
)
def test_health_and_metadata_are_as_the_protocol_says(linear: Server, path: str, key: str, value: object) -> None:
    answer = linear.client.get(path)
    assert answer.status_code == 200
    assert answer.json()[key] == value


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "inputs"),
        ({"inputs": []}, "the input x is missing"),
        (changed(name="y"), "there is no input 'y'; the model has x"),
        (changed(datatype="INT32"), "input 'x' is FP32, not INT32"),
        (changed(datatype="BF16"), "datatype 'BF16' is not supported"),
        (changed(shape=[1, 4]), "has the shape [-1, 2], not [1, 4]"),
        (changed(shape=[4]), "has the shape"),
        (changed(shape=[-2, 2]), "negative"),
        (changed(data=[1, 2, 3]), "data has 3 elements, shape [2, 2] needs 4"),
        (changed(data=[[1, 2], [3]]), "different lengths"),
        (changed(data=["a", "b", "c", "d"]), "has values that are not of the datatype FP32"),
        (changed(data=[1, 2, 3, None]), ""),
        (changed(data=[1, 2, 3, True]), "not of the datatype FP32: element 3 is true or false"),
        (changed(data=["a" * 1000, 1, 2, 3]), "not of the datatype FP32: element 0 is text"),
        (changed(data=[1, 2, 3, 1e39]), "outside the range of FP32: element 3"),
        (changed(data=[1, [2], 3, 4]), "different lengths"),
        (changed(data="abcd"), "array"),
        (changed(parameters={"binary_data_size": 16}), "both data and binary_data_size"),
        ({**GOOD, "inputs": GOOD["inputs"] * 2}, "given twice"),
        ({**GOOD, "outputs": [{"name": "z"}]}, "there is no output 'z'; the model has score, label"),
        ({**GOOD, "id": 5}, "id"),
    ],
)
def test_a_bad_request_is_answered_with_400_and_a_reason(linear: Server, body: dict[str, Any], says: str) -> None:
    answer = linear.client.post(INFER, json=body)
    assert answer.status_code == 400 if says else answer.status_code == 200
    assert says in answer.text
    if says:
        assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v2/models/other/infer", 404),
        ("POST", "/v2/models/m/versions/9/infer", 404),
        ("GET", "/nothing", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models/m/nothing", 404),
        ("GET", INFER, 405),
        ("POST", "/v2/health/live", 405),
        ("DELETE", "/v2/models/m", 405),
    ],
)
def test_a_wrong_path_or_method_is_answered_with_its_status(
    linear: Server, method: str, path: str, status: int
) -> None:
    answer = linear.client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_body_that_is_too_large_is_refused(tmp_path: Path, linear: Server) -> None:
    server = Server(linear_model(tmp_path / "m.onnx"), tmp_path, "--largest-body", "1000")
    try:
        assert server.client.post(INFER, content=b"x" * 2000).status_code == 413
        assert server.client.post(INFER, json=GOOD).status_code == 200
    finally:
        assert server.stop() == 0


def binary_request(inputs: dict[str, np.ndarray], outputs: list[dict[str, Any]]) -> tuple[bytes, dict[str, str]]:
    raw = {name: array.astype(array.dtype.newbyteorder("<")).tobytes() for name, array in inputs.items()}
    head = {
        "inputs": [
            {
                "name": name,
                "datatype": name.removeprefix("in_"),
                "shape": list(inputs[name].shape),
                "parameters": {"binary_data_size": len(content)},
            }
            for name, content in raw.items()
        ],
        "outputs": outputs,
    }
    encoded = json.dumps(head).encode()
    return encoded + b"".join(raw.values()), {"Inference-Header-Content-Length": str(len(encoded))}


NUMERIC = [name for name in DTYPES if name != "BYTES"]


def finite(name: str) -> st.SearchStrategy[Any]:
    kind = np.dtype(DTYPES[name])
    return hnp.from_dtype(kind, allow_nan=False, allow_infinity=False)


def arrays(name: str) -> st.SearchStrategy[np.ndarray]:
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=4)
    return hnp.arrays(np.dtype(DTYPES[name]), shapes, elements=finite(name))


ALL = st.fixed_dictionaries({f"in_{name}": arrays(name) for name in NUMERIC})
TEXTS = st.lists(
    st.lists(st.text(max_size=5).filter(lambda text: "\0" not in text), min_size=2, max_size=2), max_size=3
)
RELAXED = settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=40)


def test_whole_numbers_of_all_64_bits_are_not_taken_for_fractions(identity: Server) -> None:
    empty = [
        {"name": f"in_{name}", "datatype": name, "shape": [0, 1], "data": []} for name in DTYPES if name != "UINT64"
    ]

    def ask(data: list[Any]) -> httpx.Response:
        tensor = {"name": "in_UINT64", "datatype": "UINT64", "shape": [1, len(data)], "data": data}
        wanted = [{"name": "out_UINT64"}]
        return identity.client.post(INFER, json={"inputs": [*empty, tensor], "outputs": wanted})

    assert ask([2**63, 0, 2**64 - 1]).json()["outputs"][0]["data"] == [2**63, 0, 2**64 - 1]
    for bad in ([2**63, -1], [2**63, 0.5], [2**64], [-1], [0.5]):
        assert ask(bad).status_code == 400, bad


@RELAXED
@given(inputs=ALL, texts=TEXTS)
def test_every_datatype_and_shape_comes_back_as_it_was_sent(
    inputs: dict[str, np.ndarray], texts: list[list[str]], identity: Server
) -> None:
    shape = [len(texts), 2]
    as_json = [
        {"name": name, "datatype": name[3:], "shape": list(array.shape), "data": array.ravel().tolist()}
        for name, array in inputs.items()
    ]
    text = {"name": "in_BYTES", "datatype": "BYTES", "shape": shape, "data": texts}
    answer = identity.client.post(INFER, json={"inputs": [*as_json, text]})
    assert answer.status_code == 200, answer.text
    outputs = {output["name"]: output for output in answer.json()["outputs"]}
    for name, array in inputs.items():
        back = np.array(outputs[f"out_{name[3:]}"]["data"], dtype=array.dtype).reshape(array.shape)
        np.testing.assert_array_equal(back, array)
    assert outputs["out_BYTES"]["data"] == [word for row in texts for word in row]


@RELAXED
@given(inputs=ALL)
def test_binary_tensors_come_back_bit_for_bit(inputs: dict[str, np.ndarray], identity: Server) -> None:
    wanted = [{"name": f"out_{name}", "parameters": {"binary_data": True}} for name in NUMERIC]
    everything = {**inputs}
    body, headers = binary_request(everything, wanted)
    head_length = int(headers["Inference-Header-Content-Length"])
    head = json.loads(body[:head_length])
    head["inputs"].append({"name": "in_BYTES", "datatype": "BYTES", "shape": [0, 2], "data": []})
    encoded = json.dumps(head).encode()
    answer = identity.client.post(
        INFER,
        content=encoded + body[head_length:],
        headers={"Inference-Header-Content-Length": str(len(encoded))},
    )
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["Inference-Header-Content-Length"])
    assert answer.headers["content-type"] == "application/octet-stream"
    position = length
    for output in json.loads(answer.content[:length])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        sent = inputs[f"in_{output['name'][4:]}"]
        assert answer.content[position : position + size] == sent.astype(sent.dtype.newbyteorder("<")).tobytes()
        position += size
    assert position == len(answer.content)


@RELAXED
@given(body=st.binary(max_size=80), header=st.none() | st.text("0123456789-x", max_size=6))
def test_no_bytes_whatever_make_the_server_fail(body: bytes, header: str | None, linear: Server) -> None:
    headers = {} if header is None else {"Inference-Header-Content-Length": header}
    answer = linear.client.post(INFER, content=body, headers=headers)
    # Whole rows of numbers are a request without JSON; nothing else is one.
    is_raw = header is not None and set(header) == {"0"} and len(body) % 8 == 0
    assert answer.status_code == 200 if is_raw else 400 <= answer.status_code < 500
    assert is_raw or answer.json()["error"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@RELAXED
@given(key=st.sampled_from(["name", "shape", "datatype", "data", "parameters"]), value=JSON)
def test_no_value_whatever_of_a_request_makes_the_server_fail(key: str, value: Any, linear: Server) -> None:
    answer = linear.client.post(INFER, content=json.dumps(changed(**{key: value})).encode())
    assert answer.status_code in {200, 400}, answer.text


def test_deeply_nested_json_is_refused(linear: Server) -> None:
    body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[2,2],"data":' + b"[" * 5000 + b"]" * 5000 + b"}]}"
    assert linear.client.post(INFER, content=body).status_code == 400
    assert linear.client.get("/v2/health/live").status_code == 200


def test_many_clients_at_once_each_get_their_own_answer(linear: Server) -> None:
    wrong: list[float] = []

    def ask(number: int) -> None:
        with httpx.Client(base_url=linear.url, timeout=30) as client:
            for turn in range(20):
                value = float(number * 100 + turn)
                request = changed(shape=[1, 2], data=[value, 0.0])
                got = client.post(INFER, json=request).json()["outputs"][0]["data"][0]
                if got != value:
                    wrong.append(got)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_prometheus_reads_counts_and_latencies(linear: Server) -> None:
    linear.client.post(INFER, json=GOOD)
    linear.client.post(INFER, json={})
    page = linear.client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    assert 'plimsoll_requests_total{code="200",model="m",version="3"}' in page.text
    assert 'plimsoll_requests_total{code="400",model="m",version="3"}' in page.text
    assert 'plimsoll_request_seconds_bucket{le="0.001",model="m",version="3"}' in page.text
    assert 'plimsoll_model_info{model="m",version="3"} 1.0' in page.text


def test_a_running_request_is_answered_when_the_server_shuts_down(tmp_path: Path) -> None:
    """The test sends the last byte of the request after the signal to end."""
    server = Server(linear_model(tmp_path / "m.onnx"), tmp_path, "--drain", "30")
    body = json.dumps(GOOD).encode()
    head = f"POST {INFER} HTTP/1.1\r\nhost: here\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as asking:
        asking.sendall(head + body[:-1])
        until(lambda: 'plimsoll_requests_under_way{model="m"} 1.0' in server.client.get("/metrics").text)
        server.client.close()
        server.process.terminate()
        until(lambda: refuses(host, int(port)))
        asking.sendall(body[-1:])
        answer = b"".join(iter(lambda: asking.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"data":[1.0,-1.0]' in answer
    assert server.process.wait(60) == 0
    server.stop()


def refuses(host: str, port: int) -> bool:
    """Whether no process listens on the port."""
    try:
        socket.create_connection((host, port), timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


def run_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "plimsoll.runtime.server", "--name", "m", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def test_an_invalid_model_file_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"rubbish")
    ended = run_server("--model", str(tmp_path / "m.onnx"))
    assert ended.returncode == 1
    assert "the model cannot be loaded" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_named(linear: Server, tmp_path: Path) -> None:
    ended = run_server("--model", str(tmp_path), "--port", linear.url.rpartition(":")[2])
    assert ended.returncode == 1
    assert "the port cannot be taken" in ended.stderr


class Recorder(Observer):
    """An observer that records answers, serves a path and adds an output."""

    headers = frozenset({"traceparent"})
    paths = ("/v2/feedback",)

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def answered(self, answers: Sequence[Answer]) -> None:
        with self.file.open("a") as file:
            for each in answers:
                arrays = {name: array.tolist() for name, array in {**each.inputs, **each.outputs}.items()}
                told = [each.model, each.version, each.digest, each.status, arrays, dict(each.headers), each.reason]
                file.write(json.dumps(told) + "\n")

    def more_outputs(
        self, model: Any, parameters: Mapping[str, Any], inputs: Mapping[str, Any], outputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {"twice": outputs["score"] * 2} if parameters.get("twice") else {}

    def respond(self, method: str, path: str, body: bytes) -> Reply:
        return Reply(status=202, body=f"{method} {path} {body.decode()}".encode())

    def page(self) -> bytes:
        return b"recorder_is_there 1\n"


@pytest.mark.slow
def test_an_observer_is_told_of_every_answer_and_adds_outputs_paths_and_metrics(tmp_path: Path) -> None:
    seen = tmp_path / "seen.jsonl"
    written = "tests.runtime.test_server:Recorder=" + json.dumps({"file": str(seen)})
    server = Server(linear_model(tmp_path / "m.onnx"), tmp_path, "--observer", written)
    try:
        trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        answer = server.client.post(INFER, json={**GOOD, "parameters": {"twice": True}}, headers=trace).json()
        assert answer["outputs"][2] == {"name": "twice", "datatype": "FP32", "shape": [2, 1], "data": [2.0, -2.0]}
        assert server.client.post(INFER, json=changed(name="y")).status_code == 400
        assert server.client.post("/v2/feedback", content=b"late").text == "POST /v2/feedback late"
        assert "recorder_is_there 1" in server.client.get("/metrics").text
    finally:
        assert server.stop() == 0
    good, bad = [json.loads(line) for line in seen.read_text().splitlines()]
    digest = "sha256:" + hashlib.sha256((tmp_path / "m.onnx").read_bytes()).hexdigest()
    assert good[:4] == ["m", "3", digest, 200]
    assert good[4]["x"] == [[3.0, 1.0], [1.0, 1.0]]
    assert good[4]["score"] == [[1.0], [-1.0]]
    assert good[5] == trace
    assert bad[3] == 400
    assert "no input 'y'" in bad[6]


def test_a_missing_observer_is_reported_in_one_line(tmp_path: Path) -> None:
    ended = run_server("--model", str(linear_model(tmp_path / "m.onnx")), "--observer", "plimsoll:Nothing")
    assert ended.returncode == 1
    assert "the observer cannot be attached" in ended.stderr
