"""Our server beside KServe's SDK server, MLServer, BentoML and bare ONNX Runtime: same models, same client, one worker.

`python -m benchmarks serving` prints every figure; `python -m benchmarks.serving --soak 15` adds minutes of load with
reloads and changes of weights; `--clients` only makes the environments that the tests of real clients use.

The servers run on one core and the client on another. Throughput of peers is compared in requests per second of the
server's processor time, which other work on the machine disturbs least; medians of interleaved rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from benchmarks import serving_models
from benchmarks.measuring import ROOT, median, peer, verdict

PEERS = {
    "KServe": ["kserve", "onnxruntime"],
    "MLServer": ["mlserver", "uvloop<0.22", "onnxruntime"],
    "BentoML": ["bentoml", "onnxruntime"],
}
TRITON = ["tritonclient[http,grpc]", "geventhttpclient"]
PEER_FILES = Path(__file__).parent / "peers"
INFER = "/v2/models/m/infer"
ROUNDS = 3
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
                env={**os.environ, **environment},
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

    def cpu(self) -> float:
        """Seconds of processor time of all its processes."""
        return sum(_cpu(pid) for pid in _tree(self.process.pid))

    def memory(self) -> float:
        """Resident megabytes of all its processes."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in _tree(self.process.pid))
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def load(self, request: bytes, connections: int, seconds: float, rate: float | None = None) -> Measured:
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
                check=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {last}),
            )
        used = self.cpu() - before
        got = json.loads(ended.stdout)
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


_ports = iter(range(28100, 28900))


@contextlib.contextmanager
def ours(directory: Path, model: Path, *arguments: str) -> Iterator[Running]:
    """Our server with one model."""
    port = next(_ports)
    argv = [sys.executable, "-m", "plimsoll.runtime.server", "--name", "m", "--model", str(model), "--port", str(port)]
    running = Running([*argv, *arguments], port, {}, directory)
    try:
        yield running
    finally:
        running.stop()


@contextlib.contextmanager
def theirs(name: str, directory: Path, model: Path) -> Iterator[Running]:
    """A peer's server with one model, one worker, no access log."""
    python, port = peer(PEERS[name]), next(_ports)
    if name == "KServe":
        running = Running(
            [str(python), str(PEER_FILES / "kserve_server.py"), str(model), str(port)], port, {}, directory
        )
    elif name == "MLServer":
        folder = directory / "mlserver"
        folder.mkdir(exist_ok=True)
        (folder / "settings.json").write_text(
            json.dumps(
                {"http_port": port, "grpc_port": next(_ports), "metrics_port": next(_ports), "parallel_workers": 0,
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


def against_peers(directory: Path) -> bool:
    model = serving_models.tabular(directory / "tabular.onnx")
    request = json_request([round(0.1 * n, 1) for n in range(serving_models.COLUMNS)])
    with contextlib.ExitStack() as stack:
        servers = {"ours": stack.enter_context(ours(directory, model))}
        for name in PEERS:
            servers[name] = stack.enter_context(theirs(name, directory, model))
        for running in servers.values():
            running.wait(request)
            running.load(request, 32, 1)
        seen: dict[str, list[Measured]] = {name: [] for name in servers}
        for _ in range(ROUNDS):
            for name, running in servers.items():
                seen[name].append(running.load(request, 32, 3))
    print("  tabular 1×20, JSON, 32 connections, one worker:")
    figures = {name: median([each.per_cpu for each in rounds]) for name, rounds in seen.items()}
    for name, rounds in seen.items():
        print(
            f"    {name:9} {figures[name]:8.0f} requests per second of processor time,"
            f" {median([each.rate for each in rounds]):8.0f} per second, failed {sum(each.failed for each in rounds)}"
        )
    return all(
        verdict(f"times {name}'s requests per CPU-second", figures["ours"] / figures[name], 10, "×", at_least=True)
        for name in PEERS
    )


def against_bare_loop(directory: Path) -> bool:
    model = serving_models.image(directory / "image.onnx")
    request = binary_request(np.random.default_rng(4).random((1, 3, 224, 224), dtype=np.float32))
    argv = [sys.executable, str(PEER_FILES / "bare_loop.py"), str(model), "3", "1", "3", "224", "224"]
    first = min(os.sched_getaffinity(0))
    rates: list[float] = []
    with ours(directory, model) as running:
        _until_live(running)
        running.load(request, 4, 1)
        for _ in range(ROUNDS):
            bare = subprocess.run(
                argv, capture_output=True, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {first})
            )
            runs, seconds = map(float, bare.stdout.split())
            served = running.load(request, 4, 3)
            print(f"    image 1×3×224×224, binary: {served.rate:.1f} a second, bare loop {runs / seconds:.1f}")
            rates.append(served.rate / (runs / seconds))
    return verdict("of a bare loop's throughput, images", 100 * median(rates), 90, "%", at_least=True)


def latency_at_half_load(directory: Path) -> bool:
    model = serving_models.tabular(directory / "half.onnx")
    request = json_request([0.5] * serving_models.COLUMNS)
    ratios = []
    with ours(directory, model) as running:
        running.wait(request)
        most = median([running.load(request, 32, 2).rate for _ in range(ROUNDS)])
        for _ in range(ROUNDS):
            half = running.load(request, 32, 4, rate=most / 2)
            print(f"    at {most / 2:.0f} a second: p50 {half.p50 * 1000:.3f} ms, p99 {half.p99 * 1000:.3f} ms")
            ratios.append(half.p99 / half.p50)
    return verdict("p99 over p50 at half of the saturating load", median(ratios), 2, "×")


def batching(directory: Path) -> bool:
    model = serving_models.wide(directory / "wide.onnx")
    request = binary_request(np.random.default_rng(5).random((1, serving_models.WIDE), dtype=np.float32))
    budget = 250
    with (
        ours(directory, model) as alone,
        ours(directory, model, "--batch-rows", "32", "--batch-wait", "20", "--batch-budget", str(budget)) as together,
    ):
        for running in (alone, together):
            _until_live(running)
            running.load(request, 32, 1)
        gains, p99 = [], []
        for _ in range(ROUNDS):
            one, many = alone.load(request, 32, 3), together.load(request, 32, 3)
            print(
                f"    four layers of 2,048²: {many.rate:.0f} a second together (p99 {many.p99 * 1000:.0f} ms),"
                f" {one.rate:.0f} one by one (p99 {one.p99 * 1000:.0f} ms)"
            )
            gains.append(many.rate / one.rate)
            p99.append(many.p99 * 1000)
    kept = verdict("times the throughput by batching", median(gains), 3, "×", at_least=True)
    return verdict("p99 with batching", median(p99), budget, "ms") and kept


def starts(directory: Path) -> bool:
    model = serving_models.tabular(directory / "start.onnx")
    request = json_request([0.5] * serving_models.COLUMNS)
    script = [sys.executable, str(PEER_FILES / "bare_loop.py"), str(model), "0", "1", str(serving_models.COLUMNS)]
    first = min(os.sched_getaffinity(0))
    bare, cold, memory = [], [], []
    for _ in range(2 * ROUNDS + 1):
        began = time.perf_counter()
        subprocess.run(script, check=True, capture_output=True, preexec_fn=lambda: os.sched_setaffinity(0, {first}))
        bare.append(time.perf_counter() - began)
        began = time.perf_counter()
        with ours(directory, model) as running:
            running.wait(request)
            cold.append(time.perf_counter() - began)
            memory.append(running.memory())
    print(f"    from exec to the first answer {median(cold):.3f} s, bare script {median(bare):.3f} s")
    kept = verdict("times a bare script from exec to the first answer", median(cold) / median(bare), 1.5, "×")
    kept &= verdict("memory with a small model", median(memory), 90, "MB")
    woken = []
    elastic = ("--scale-min", "0", "--scale-max", "2", "--scale-idle", "0.5")
    with ours(directory, model, *elastic) as running:
        running.wait(request)
        for _ in range(2 * ROUNDS + 1):
            deadline = time.monotonic() + 30
            while len(_tree(running.process.pid)) > 1 and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(0.3)
            woken.append(running.wait(request))
        print(f"    supervisor at rest: {_at_rest(running):.0f} MB")
    return verdict("from zero to the first answer", median(woken), 0.3, "s") and kept


def _at_rest(running: Running) -> float:
    deadline = time.monotonic() + 30
    while len(_tree(running.process.pid)) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    return running.memory()


def _until_live(running: Running) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{running.url}/v2/health/live", timeout=5):
            return
        time.sleep(0.01)
    sys.exit(f"a server did not answer: {running.log.read_text()[-2000:]}")


def soak(directory: Path, minutes: float) -> bool:
    """Load with reloads and moving weights: every second file change and every tenth a load anew."""
    models = [serving_models.tabular(directory / f"soak-{version}.onnx") for version in (1, 2)]
    file = directory / "soak.json"
    request = json_request([0.5] * serving_models.COLUMNS)

    def weigh(second: int) -> None:
        shares = [{"version": "1", "weight": 100 - second}, {"version": "2", "weight": second}]
        files = [{"name": "m", "version": str(n + 1), "path": str(path)} for n, path in enumerate(models)]
        part = file.with_suffix(".part")
        part.write_text(json.dumps({"models": files, "traffic": {"m": shares}}))
        part.replace(file)

    weigh(0)
    port = next(_ports)
    argv = [sys.executable, "-m", "plimsoll.runtime.server", "--service", str(file), "--port", str(port)]
    running = Running(argv, port, {}, directory)
    try:
        running.wait(request)
        most = running.load(request, 32, 5).rate
        failed, answered, memory, turn = 0, 0.0, [], 0
        ends = time.monotonic() + minutes * 60
        while time.monotonic() < ends:
            changes = subprocess.Popen(
                [sys.executable, "-c", _CHANGES, str(running.process.pid), running.url, "8"], stdout=subprocess.DEVNULL
            )
            weigh((turn * 25) % 101)
            got = running.load(request, 32, 10, rate=0.7 * most)
            changes.wait(60)
            failed += got.failed + (changes.returncode != 0)
            answered += got.rate * 10
            memory.append(running.memory())
            turn += 1
    finally:
        running.stop()
    settled = memory[len(memory) // 4 :]
    growth = (median(settled[-3:]) / median(settled[:3]) - 1) * 100
    print(f"    {minutes:g} minutes at 70 %: {answered:.0f} requests, memory {settled[0]:.0f} to {settled[-1]:.0f} MB")
    kept = verdict("failed requests of the soak", failed, 0, "")
    return verdict("growth of memory over the soak", growth, 3, "%") and kept


_CHANGES = """
import os, signal, sys, time, urllib.request
for turn in range(int(sys.argv[3])):
    os.kill(int(sys.argv[1]), signal.SIGHUP)
    time.sleep(0.5)
    ask = urllib.request.Request(sys.argv[2] + "/v2/repository/models/m/load", b"", method="POST")
    assert urllib.request.urlopen(ask, timeout=30).status == 200
    time.sleep(0.5)
"""


def main(argv: list[str]) -> bool:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--soak", type=float, default=0.0, help="minutes")
    parser.add_argument("--clients", action="store_true", help="only make the environments of real clients")
    parser.add_argument("--only", choices=list(FIGURES), help="one figure")
    options = parser.parse_args(argv)
    if options.clients:
        return bool(peer(TRITON) and peer(PEERS["KServe"]))
    print("serving", flush=True)
    with tempfile.TemporaryDirectory(prefix="plimsoll-serving-") as directory:
        if options.soak:
            return soak(Path(directory), options.soak)
        wanted = [options.only] if options.only else list(FIGURES)
        return all(FIGURES[name](Path(directory)) for name in wanted)


FIGURES = {
    "peers": against_peers,
    "images": against_bare_loop,
    "latency": latency_at_half_load,
    "batching": batching,
    "starts": starts,
}

if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
