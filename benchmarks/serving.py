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
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import serving_models
from benchmarks.measuring import median, peer, users_environment, verdict
from benchmarks.servers import (
    PEER_FILES,
    PEERS,
    TRITON,
    Measured,
    Running,
    bare_echo,
    bare_server,
    binary_request,
    json_request,
    ours,
    ports,
    theirs,
)
from plimsoll.runtime.server.admin_token import make_token_file

ROUNDS = 3


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
    kept = [
        verdict(f"times {name}'s requests per CPU-second", figures["ours"] / figures[name], 10, "×", at_least=True)
        for name in PEERS
    ]
    return all(kept)


def against_bare_loop(directory: Path) -> bool:
    """MobileNetV2 is the figure; a model of a millisecond, where transport is a large part, stands beside its limit."""
    kept = verdict(
        "of a bare loop's throughput, images through MobileNetV2",
        100 * _of_bare_loop(directory, serving_models.mobilenet(directory / "mobilenet.onnx"), "MobileNetV2", ours),
        90,
        "%",
        at_least=True,
    )
    model = serving_models.small_image(directory / "small.onnx")
    served, least = (_of_bare_loop(directory, model, "six convolutions", each) for each in (ours, bare_server))
    print(
        f"    images through six convolutions: {100 * served:.1f} % of a bare loop's throughput; a server that only"
        f" receives and runs has {100 * least:.1f} %, ours {100 * served / least:.1f} % of that"
    )
    return kept


def _of_bare_loop(
    directory: Path,
    model: Path,
    name: str,
    server: Callable[[Path, Path], contextlib.AbstractContextManager[Running]],
) -> float:
    request = binary_request(np.random.default_rng(4).random((1, 3, 224, 224), dtype=np.float32))
    argv = [sys.executable, str(PEER_FILES / "bare_loop.py"), str(model), "3", "1", "3", "224", "224"]
    first = min(os.sched_getaffinity(0))
    rates: list[float] = []
    with server(directory, model) as running:
        running.until_open()
        running.load(request, 4, 1)
        for _ in range(ROUNDS):
            bare = subprocess.run(
                argv, capture_output=True, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {first})
            )
            runs, seconds = map(float, bare.stdout.split())
            served = running.load(request, 4, 3)
            print(
                f"    {name}, {server.__name__.replace('_', ' ')}: {served.rate:.1f} a second,"
                f" bare loop {runs / seconds:.1f}"
            )
            rates.append(served.rate / (runs / seconds))
    return median(rates)


def latency_at_half_load(directory: Path) -> bool:
    """Of a tabular model, whose tail is the machine's own where a bare server has one too, and of an image model."""
    model = serving_models.tabular(directory / "half.onnx")
    request = json_request([0.5] * serving_models.COLUMNS)
    with ours(directory, model) as running, bare_echo(directory) as echo:
        running.wait(request)
        echo.until_open()
        rate = median([running.load(request, 32, 2).rate for _ in range(ROUNDS)]) / 2
        least = median([_evenness(echo, request, 32, rate, "a bare server that always says {}") for _ in range(ROUNDS)])
        found = median([_evenness(running, request, 32, rate, "tabular") for _ in range(ROUNDS)])
    print(f"    the bare server has {least:.2g} times its own p50")
    kept = verdict("p99 over p50 at half of the saturating load, tabular", found, 2, "×")
    image = serving_models.mobilenet(directory / "half-image.onnx")
    request = binary_request(np.random.default_rng(4).random((1, 3, 224, 224), dtype=np.float32))
    with ours(directory, image) as running:
        running.until_open()
        rate = median([running.load(request, 4, 2).rate for _ in range(ROUNDS)]) / 2
        found = median([_evenness(running, request, 4, rate, "MobileNetV2") for _ in range(ROUNDS)])
    return verdict("p99 over p50 at half of the saturating load, images", found, 2, "×") and kept


def _evenness(running: Running, request: bytes, connections: int, rate: float, name: str) -> float:
    seen = running.load(request, connections, 4, rate=rate)
    print(f"    {name}, {rate:.0f} a second: p50 {seen.p50 * 1000:.3f} ms, p99 {seen.p99 * 1000:.3f} ms")
    return seen.p99 / seen.p50


def batching(directory: Path) -> bool:
    model = serving_models.wide(directory / "wide.onnx")
    request = binary_request(np.random.default_rng(5).random((1, serving_models.WIDE), dtype=np.float32))
    budget = 250
    with (
        ours(directory, model) as alone,
        ours(directory, model, "--batch-rows", "32", "--batch-wait", "20", "--batch-budget", str(budget)) as together,
    ):
        for running in (alone, together):
            running.until_live()
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
        subprocess.run(
            script,
            check=True,
            capture_output=True,
            env=users_environment(),
            preexec_fn=lambda: os.sched_setaffinity(0, {first}),
        )
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
            while running.processes() > 1 and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(0.3)
            woken.append(running.wait(request))
        print(f"    supervisor at rest: {_at_rest(running):.0f} MB")
    return verdict("from zero to the first answer", median(woken), 0.3, "s") and kept


def _at_rest(running: Running) -> float:
    deadline = time.monotonic() + 30
    while running.processes() > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    return running.memory()


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
    port = next(ports)
    argv = [sys.executable, "-m", "plimsoll.runtime.server", "--service", str(file), "--port", str(port)]
    token = directory / "token"
    make_token_file(token)
    argv += ["--admin-token-file", str(token)]
    running = Running(argv, port, {}, directory)
    try:
        running.wait(request)
        most = running.load(request, 32, 5).rate
        failed, answered, memory, turn = 0, 0.0, [], 0
        ends = time.monotonic() + minutes * 60
        while time.monotonic() < ends:
            changing = [sys.executable, "-c", _CHANGES, str(running.process.pid), running.url, "8", token.read_text()]
            changes = subprocess.Popen(changing, stdout=subprocess.DEVNULL)
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
    token = {"Authorization": "Bearer " + sys.argv[4].strip()}
    ask = urllib.request.Request(sys.argv[2] + "/v2/repository/models/m/load", b"", token)
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
        kept = [FIGURES[name](Path(directory)) for name in wanted]
        return all(kept)


FIGURES = {
    "peers": against_peers,
    "images": against_bare_loop,
    "latency": latency_at_half_load,
    "batching": batching,
    "starts": starts,
}

if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
