"""The servers of `benchmarks.serving` as processes: started, loaded, measured, ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from benchmarks.measuring import ROOT, peer, users_environment

PEERS = {
    "KServe": ["kserve", "onnxruntime"],
    "MLServer": ["mlserver", "uvloop<0.22", "onnxruntime"],
    "BentoML": ["bentoml", "onnxruntime"],
}
TRITON = ["tritonclient[http,grpc]", "geventhttpclient"]
PEER_FILES = Path(__file__).parent / "peers"
INFER = "/v2/models/m/infer"
TICKS = os.sysconf("SC_CLK_TCK")


class Measured(Struct, frozen=True, kw_only=True):
    """One load: requests per second on the clock and of the server's processor time, latencies in seconds."""

    rate: float
    per_cpu: float
    p50: float
    p99: float
    failed: int


class Running:
    """A server process with all its children, on the first core."""

    def __init__(self, argv: Sequence[str], port: int, environment: dict[str, str], directory: Path) -> None:
        self.port = port
        self.log = directory / f"server-{port}.log"
        first = min(os.sched_getaffinity(0))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                argv,
                cwd=directory,
                env={**users_environment(), **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {first}),  # noqa: PLW1509 - this process has one thread
            )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self, request: bytes, limit: float = 120) -> float:
        """Seconds until the first answer that is a 200."""
        began = time.perf_counter()
        body = request.partition(b"\r\n\r\n")[2]
        while time.perf_counter() - began < limit:
            if self.process.poll() is not None:
                sys.exit(f"a server ended: {self.log.read_text()[-2000:]}")
            with contextlib.suppress(OSError):
                asked = urllib.request.Request(
                    self.url + INFER, body, {"Content-Type": "application/json"}, method="POST"
                )
                with urllib.request.urlopen(asked, timeout=30) as answer:
                    answer.read()
                    return time.perf_counter() - began
            time.sleep(0.003)
        sys.exit(f"a server did not answer: {self.log.read_text()[-2000:]}")

    def until_live(self, limit: float = 60) -> None:
        """Wait until it says that it lives."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/v2/health/live", timeout=5):
                return
            time.sleep(0.01)
        sys.exit(f"a server did not answer: {self.log.read_text()[-2000:]}")

    def until_open(self, limit: float = 60) -> None:
        """Wait until its port takes connections."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return
            time.sleep(0.01)
        sys.exit(f"a server did not listen: {self.log.read_text()[-2000:]}")

    def processes(self) -> int:
        """How many there are."""
        return len(_tree(self.process.pid))

    def cpu(self) -> float:
        """Seconds of processor time of all its processes."""
        return sum(_cpu(pid) for pid in _tree(self.process.pid))

    def memory(self) -> float:
        """Resident megabytes of all its processes."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in _tree(self.process.pid))
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        """End it, by force after ten seconds."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def load(self, request: bytes, connections: int, seconds: float, rate: float | None = None) -> Measured:
        """What a client on the last core gets, at `rate` requests a second or as fast as it can."""
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(request)
            argv = [sys.executable, "-m", "benchmarks.load", self.url, file.name, str(connections), str(seconds)]
            last = max(os.sched_getaffinity(0))
            before = self.cpu()
            ended = subprocess.run(
                [*argv, *([str(rate)] if rate else [])],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
                preexec_fn=lambda: os.sched_setaffinity(0, {last}),
            )
        used = self.cpu() - before
        if ended.returncode != 0:
            sys.exit(f"the load generator ended: {ended.stderr.strip()}\n{self.log.read_text()[-2000:]}")
        got = json.loads(ended.stdout)
        if got["failed"]:
            kinds = ", ".join(f"{number} × {kind}" for kind, number in got["failures"].items())
            print(f"    {got['failed']} requests failed: {kinds}", flush=True)
        if not got["requests"]:
            sys.exit(f"no request was answered well: {self.log.read_text()[-2000:]}")
        rate_ = got["requests"] / got["seconds"]
        return Measured(
            rate=rate_, per_cpu=got["requests"] / used, p50=got["p50"], p99=got["p99"], failed=got["failed"]
        )


def _tree(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop()
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
            found.append(each)
    return found


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


ports = iter(range(28100, 28900))


@contextlib.contextmanager
def ours(directory: Path, model: Path, *arguments: str) -> Iterator[Running]:
    """Our server with one model."""
    port = next(ports)
    argv = [sys.executable, "-m", "plimsoll.runtime.server", "--name", "m", "--model", str(model), "--port", str(port)]
    running = Running([*argv, *arguments], port, {}, directory)
    try:
        yield running
    finally:
        running.stop()


@contextlib.contextmanager
def theirs(name: str, directory: Path, model: Path) -> Iterator[Running]:
    """A peer's server with one model, one worker, no access log."""
    python, port = peer(PEERS[name]), next(ports)
    if name == "KServe":
        running = Running(
            [str(python), str(PEER_FILES / "kserve_server.py"), str(model), str(port)], port, {}, directory
        )
    elif name == "MLServer":
        folder = directory / "mlserver"
        folder.mkdir(exist_ok=True)
        (folder / "settings.json").write_text(
            json.dumps(
                {"http_port": port, "grpc_port": next(ports), "metrics_port": next(ports), "parallel_workers": 0,
                 "debug": False}
            )
        )  # fmt: skip
        about = {"name": "m", "implementation": "mlserver_model.Onnx", "parameters": {"uri": str(model)}}
        (folder / "model-settings.json").write_text(json.dumps(about))
        argv = [str(python.parent / "mlserver"), "start", str(folder)]
        running = Running(argv, port, {"PYTHONPATH": str(PEER_FILES)}, directory)
    else:
        argv = [str(python.parent / "bentoml"), "serve", "bentoml_service:Onnx", "--port", str(port)]
        environment = {"MODEL": str(model), "PYTHONPATH": str(PEER_FILES), "BENTOML_DO_NOT_TRACK": "True"}
        running = Running([*argv, "--working-dir", str(PEER_FILES)], port, environment, directory)
    try:
        yield running
    finally:
        running.stop()


def post(body: bytes, *lines: str, kind: str = "application/json") -> bytes:
    """The bytes of a request."""
    head = [f"POST {INFER} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, *lines, "", ""]).encode() + body


def json_request(row: Sequence[float]) -> bytes:
    """One row in JSON."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, len(row)], "data": list(row)}
    return post(json.dumps({"inputs": [tensor]}).encode())


def binary_request(array: np.ndarray) -> bytes:
    """One tensor in binary, answered in binary."""
    tensor = {
        "name": "x",
        "datatype": "FP32",
        "shape": array.shape,
        "parameters": {"binary_data_size": array.nbytes},
    }
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    length = f"Inference-Header-Content-Length: {len(head)}"
    return post(head + array.tobytes(), length, kind="application/octet-stream")


def bare_server(directory: Path, model: Path) -> contextlib.AbstractContextManager[Running]:
    """A server that only receives and runs: what this machine can do at all."""
    return _bare(directory, "bare_server.py", str(model))


def bare_echo(directory: Path) -> contextlib.AbstractContextManager[Running]:
    """A server that only answers: how even this machine can be at all."""
    return _bare(directory, "bare_echo.py")


@contextlib.contextmanager
def _bare(directory: Path, script: str, *arguments: str) -> Iterator[Running]:
    port = next(ports)
    running = Running([sys.executable, str(PEER_FILES / script), *arguments, str(port)], port, {}, directory)
    try:
        yield running
    finally:
        running.stop()
