"""A scikit-learn classifier of 20 columns as a function behind our server, beside MLServer's and BentoML's servers.

All have one worker on one core, the same scikit-learn and the same model; the client is on another core. What counts is
requests per second of the server's processor time, all its processes together, as medians of interleaved rounds. The
same row through the ONNX path of the server stands beside it: the price of own code.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import serving_models
from benchmarks.measuring import median, peer, verdict
from benchmarks.servers import PEER_FILES, Measured, Running, json_request, ours, ports, post

SKLEARN = "scikit-learn==1.9.1"
OURS = [SKLEARN]
MLSERVER = ["mlserver", "mlserver-sklearn", SKLEARN, "uvloop<0.22"]
BENTOML = ["bentoml", SKLEARN]
ROUNDS, SECONDS, CONNECTIONS = 5, 3, 32
ROW = [round(0.1 * n - 1, 1) for n in range(serving_models.COLUMNS)]


def main(_: Sequence[str] = ()) -> bool:
    """Print the figures; true when they keep their limits."""
    with tempfile.TemporaryDirectory(prefix="plimsoll-predictors-") as made:
        directory = Path(made)
        model = directory / "model.joblib"
        subprocess.run([str(peer(OURS)), str(PEER_FILES / "sklearn_train.py"), str(model)], check=True)
        with contextlib.ExitStack() as stack:
            onnx = stack.enter_context(ours(directory, serving_models.tabular(directory / "tabular.onnx")))
            tensor = json_request(ROW)
            array = post(json.dumps({"x": [ROW]}).encode())
            servers = {
                "ours": (stack.enter_context(function(directory, model)), tensor),
                "ours, ONNX": (onnx, tensor),
                "MLServer": (stack.enter_context(mlserver(directory, model)), tensor),
                "BentoML": (stack.enter_context(bentoml(directory, model, "Single")), array),
                "BentoML, batched": (stack.enter_context(bentoml(directory, model, "Batched")), array),
            }
            return compared(servers)


def compared(servers: dict[str, tuple[Running, bytes]]) -> bool:
    """Load all in turn and print what they did."""
    for running, request in servers.values():
        running.wait(request)
        running.load(request, CONNECTIONS, 1)
    seen: dict[str, list[Measured]] = {name: [] for name in servers}
    for _ in range(ROUNDS):
        for name, (running, request) in servers.items():
            seen[name].append(running.load(request, CONNECTIONS, SECONDS))
    print(f"  scikit-learn 1×20, JSON, {CONNECTIONS} connections, one worker:")
    for name, rounds in seen.items():
        print(
            f"    {name:17} {median([each.per_cpu for each in rounds]):8.0f} requests per second of processor time,"
            f" {median([each.rate for each in rounds]):7.0f} per second, p99"
            f" {1000 * median([each.p99 for each in rounds]):6.1f} ms, failed {sum(each.failed for each in rounds)}"
        )
    figures = {name: median([each.per_cpu for each in rounds]) for name, rounds in seen.items()}
    print(f"    own code costs {figures['ours, ONNX'] / figures['ours']:.2f} times the processor time of ONNX")
    best = max(figure for name, figure in figures.items() if name.startswith("BentoML"))
    kept = [
        verdict(f"times {name}'s requests per CPU-second", figures["ours"] / figure, 5, "×", at_least=True)
        for name, figure in (("MLServer", figures["MLServer"]), ("BentoML", best))
    ]
    failed = sum(each.failed for each in seen["ours"])
    return verdict("failed requests of ours", failed, 0, "") and all(kept)


@contextlib.contextmanager
def function(directory: Path, model: Path) -> Iterator[Running]:
    """Our server with the function in a process under the Python that has scikit-learn."""
    inputs = [{"name": "x", "datatype": "FP32", "shape": [-1, serving_models.COLUMNS]}]
    code = {
        "argv": [str(peer(OURS)), "sklearn_function.py"],
        "script": "sklearn_function.py",
        "directory": str(PEER_FILES),
        "inputs": inputs,
    }
    file = directory / "function.json"
    file.write_text(json.dumps({"models": [{"name": "m", "version": "1", "path": str(model.parent), "code": code}]}))
    port = next(ports)
    argv = [sys.executable, "-m", "plimsoll.runtime.server", "--service", str(file), "--port", str(port)]
    with _running(argv, port, {}, directory) as running:
        yield running


@contextlib.contextmanager
def mlserver(directory: Path, model: Path) -> Iterator[Running]:
    """MLServer with its own scikit-learn runtime."""
    python, port = peer(MLSERVER), next(ports)
    folder = directory / "mlserver"
    folder.mkdir()
    settings = {"http_port": port, "grpc_port": next(ports), "metrics_port": next(ports), "parallel_workers": 0}
    (folder / "settings.json").write_text(json.dumps({**settings, "debug": False}))
    about = {"name": "m", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": str(model)}}
    (folder / "model-settings.json").write_text(json.dumps(about))
    with _running([str(python.parent / "mlserver"), "start", str(folder)], port, {}, directory) as running:
        yield running


@contextlib.contextmanager
def bentoml(directory: Path, model: Path, service: str) -> Iterator[Running]:
    """BentoML with one of its services."""
    python, port = peer(BENTOML), next(ports)
    argv = [str(python.parent / "bentoml"), "serve", f"bentoml_sklearn:{service}", "--port", str(port)]
    environment = {"MODEL": str(model), "PYTHONPATH": str(PEER_FILES), "BENTOML_DO_NOT_TRACK": "True"}
    with _running([*argv, "--working-dir", str(PEER_FILES)], port, environment, directory) as running:
        yield running


@contextlib.contextmanager
def _running(argv: Sequence[str], port: int, environment: dict[str, str], directory: Path) -> Iterator[Running]:
    running = Running(argv, port, environment, directory)
    try:
        yield running
    finally:
        running.stop()
