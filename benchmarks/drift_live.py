"""A real server at a steady rate of requests: how long after a shift its alert stands on /metrics."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

FEATURES = 20
QUIET = 25.0
"""Seconds of requests before the shift."""
LIMIT = 120.0


def seconds_to_alert(a_second: int) -> float:
    """Seconds from the first shifted request (one feature, up by half a standard deviation) to the alert."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        process, url = _server(directory)
        try:
            return _measured(url, a_second)
        finally:
            process.terminate()
            process.wait(20)


def _server(directory: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server of a linear model of twenty features, watched against 20,000 rows."""
    import onnx
    import pyarrow as pa
    import pyarrow.parquet as pq
    from onnx import TensorProto, helper, numpy_helper

    names = [f"feature_{number}" for number in range(FEATURES)]
    weights = np.linspace(-1, 1, FEATURES, dtype=np.float32).reshape(-1, 1)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["score"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, FEATURES])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"features": json.dumps(names)})
    onnx.save(model, directory / "model.onnx")
    rows = np.random.default_rng(1).normal(size=(20_000, FEATURES)).astype(np.float32)
    pq.write_table(pa.table({name: rows[:, place] for place, name in enumerate(names)}), directory / "train.parquet")
    made = directory / "reference.json"
    argv = [sys.executable, "-m", "plimsoll.telemetry.drift.build_reference", "--model", str(directory / "model.onnx")]
    argv += ["--name", "m", "--digest", "d", "--table", str(directory / "train.parquet"), "--output", str(made)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    settings = json.dumps({"drift": [{"reference": str(made)}]})
    argv = [sys.executable, "-m", "plimsoll.runtime.server", "--name", "m", "--model", str(directory / "model.onnx")]
    argv += ["--digest", "d", "--ready-file", str(directory / "ready.json")]
    argv += ["--observer", f"plimsoll.telemetry.service:watch={settings}"]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (directory / "ready.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit("the server did not come up")
        time.sleep(0.05)
    return process, str(json.loads((directory / "ready.json").read_text())["url"])


def _measured(url: str, a_second: int) -> float:
    address = urlsplit(url).netloc
    ending = threading.Event()
    shift_at = time.monotonic() + QUIET
    sender = threading.Thread(target=_send, args=(address, a_second, shift_at, ending))
    sender.start()
    try:
        while time.monotonic() < shift_at + LIMIT:
            if _alarms(address):
                return time.monotonic() - shift_at
            time.sleep(0.25)
        return LIMIT
    finally:
        ending.set()
        sender.join()


def _send(address: str, a_second: int, shift_at: float, ending: threading.Event) -> None:
    """One row a request, at a steady rate, until told to end."""
    random = np.random.default_rng(2)
    connection = http.client.HTTPConnection(address, timeout=10)
    due = time.monotonic()
    while not ending.is_set():
        row = random.normal(size=FEATURES)
        if due >= shift_at:
            row[3] += 0.5
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, FEATURES], "data": row.tolist()}
        connection.request("POST", "/v2/models/m/infer", json.dumps({"inputs": [tensor]}))
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"the server answered {answer.status}")
        due += 1 / a_second
        time.sleep(max(0.0, due - time.monotonic()))


def _alarms(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    lines = [line for line in page.splitlines() if line.startswith("plimsoll_drift_alarm{")]
    return any(line.endswith(" 1.0") for line in lines)
