"""The edge: memory of an agent with its server, readings by MQTT, updates whose power is cut, and their bytes.

    python -m benchmarks edge --cuts 200
    python -m benchmarks edge --devices 10000 --minutes 60
    python -m benchmarks edge --offline
    python -m benchmarks edge --frames 100

A cut kills agent, warden and server at a random moment of an update. Whole is a device that then serves a signed
version: the old one or the new one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import onnx
from onnx import numpy_helper

from benchmarks.edge_fleet import fleet
from benchmarks.edge_frames import frames, prepared
from benchmarks.edge_offline import RESULTS, Device, offline
from benchmarks.measuring import PLIMSOLL, users_environment, verdict
from benchmarks.registry import registry
from benchmarks.serving_models import COLUMNS, tabular
from plimsoll.edge.agent.sensors import send_at_once
from plimsoll.edge.delta_making import make_delta

AGENT_LIMIT, TOGETHER_LIMIT = 40.0, 110.0
"""MB of memory: the agent with its warden, and these with the server."""
READINGS_LIMIT = 10.0
"""Milliseconds from a reading to its answer, 99 of 100."""
DELTA_LIMIT = 20.0
"""Percent of a model's bytes when its last layers have changed."""
JOIN_LIMIT = 180.0
"""Seconds until a device that has joined serves."""
RATE = 50
CUTS = 20
SEED = 20260101
FILE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: bench}
spec:
  models: {wear: {source: model.onnx, licence: Apache-2.0}}
  services: {wear: {model: wear}}
  edges:
    cabs:
      services: [wear]
      registry: "%s"
      sync: 1s
      rollout: ["100%%"]
      hold: 0s
      limit: 120s
      subscribe: {wear: {mqtt: "mqtt://127.0.0.1:%d", topic: sensors/+, answer: "answers/{topic}"}}
"""


OFFLINE = """\
apiVersion: plimsoll.dev/v1alpha1
kind: Application
metadata: {name: bench}
spec:
  models: {wear: {source: model.onnx, licence: Apache-2.0}}
  services: {wear: {model: wear, telemetry: {audit: true}}}
  edges: {cabs: {services: [wear], registry: "%s", sync: 1s, rollout: ["100%%"], hold: 0s, limit: 120s}}
"""


def main(arguments: list[str]) -> bool:
    """Measure all of it."""
    parser = argparse.ArgumentParser(prog="benchmarks edge")
    parser.add_argument("--cuts", type=int, default=CUTS, help="updates whose power is cut")
    parser.add_argument("--seconds", type=float, default=10, help="seconds of readings")
    parser.add_argument("--devices", type=int, help="only: so many simulated devices at one registry")
    parser.add_argument("--minutes", type=float, default=60, help="with --devices: how long")
    parser.add_argument("--sync", type=float, default=60, help="with --devices: seconds between two looks of a device")
    parser.add_argument("--offline", action="store_true", help="only: a day without a link")
    parser.add_argument("--results", type=int, default=RESULTS, help="with --offline: how many")
    parser.add_argument("--frames", type=int, help="only: so many frames of a street, at the edge and through a cloud")
    given = parser.parse_args(arguments)
    if given.devices is not None:
        return fleet(given.devices, given.minutes, given.sync)
    if given.offline:
        return offline(lambda directory, place: _Device(directory, place, 0, OFFLINE), given.results)
    if given.frames is not None:
        return frames(_Cameras, given.frames)
    print("edge: an agent and a server of a tabular model, a registry and a broker on this machine")
    with tempfile.TemporaryDirectory() as name, registry(Path(name)) as place, _broker(Path(name)) as port:
        device = _Device(Path(name), str(place), port)
        try:
            device.enroll()
            kept = [_delta(Path(name)), _memory(device), _readings(port, given.seconds), _cuts(device, given.cuts)]
        finally:
            device.cut()
    return all(kept)


class _Device(Device):
    def __init__(self, directory: Path, place: str, port: int, file: str = FILE) -> None:
        self.owner, self.directory = directory / "owner", directory / "cab"
        self.owner.mkdir()
        (self.owner / "plimsoll.yaml").write_text(file % ((place, port) if port else place))
        self.environment = {**users_environment(), "XDG_CONFIG_HOME": str(directory / "config")}
        self.agent: subprocess.Popen[bytes] | None = None

    def plimsoll(self, *words: str) -> str:
        ended = subprocess.run(
            [*PLIMSOLL, *words], cwd=self.owner, env=self.environment, capture_output=True, text=True, check=False
        )
        if ended.returncode not in (0, 3):
            sys.exit(f"plimsoll {' '.join(words)}: {ended.stdout[-1000:]}{ended.stderr[-1000:]}")
        return ended.stdout

    def enroll(self) -> None:
        self.version(0)
        token = json.loads(self.plimsoll("edge", "enroll", "cabs", "cab-1", "--json"))["token"]
        (self.owner / "token").write_text(token)
        self.start("--token-file", str(self.owner / "token"))
        self.plimsoll("edge", "rollout", "cabs")
        # On a busy machine a device that syncs each second may count as away for a moment, and nobody waits for it.
        deadline = time.monotonic() + JOIN_LIMIT
        while not self._serves():
            if time.monotonic() > deadline:
                sys.exit(f"the device serves nothing after {JOIN_LIMIT:.0f} s; see {self.owner}/agent.log")
            time.sleep(1)

    def _serves(self) -> bool:
        """Whether the device has told that all of its services are up."""
        told = json.loads(self.plimsoll("edge", "list", "cabs", "--json"))["devices"].get("cab-1", {})
        services = (told.get("report") or {}).get("services", [])
        return bool(services) and all(each["up"] for each in services)

    def version(self, number: int) -> None:
        """Make and register a model whose answers tell the number."""
        path = tabular(self.owner / "model.onnx")
        model = onnx.load(path)
        bias = next(each for each in model.graph.initializer if each.name == "b1")
        changed = numpy_helper.to_array(bias) + np.float32(number)
        bias.CopyFrom(numpy_helper.from_array(changed, "b1"))
        onnx.save(model, path)
        self.plimsoll("run", "--json")

    def start(self, *words: str) -> None:
        log = (self.owner / "agent.log").open("ab")
        argv = [*PLIMSOLL, "edge", "agent", "--directory", str(self.directory), *words]
        self.agent = subprocess.Popen(argv, env=users_environment(), stdout=log, stderr=log, start_new_session=True)

    def processes(self) -> dict[str, list[int]]:
        """The agent with its warden, and the server."""
        found: dict[str, list[int]] = {"agent": [], "server": []}
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes().decode().split("\0")
                pid = int(path.parent.name)
                if str(self.directory) in " ".join(words) and "plimsoll.runtime.server" in words:
                    found["server"].append(pid)
                elif self.agent is not None and (pid == self.agent.pid or _parent(pid) == self.agent.pid):
                    found["agent"].append(pid)
        return found

    def cut(self) -> None:
        """The power is gone: nothing of the device runs any more."""
        for pids in self.processes().values():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self.agent is not None:
            self.agent.wait()

    def url(self) -> str:
        """The address of its server."""
        return str(json.loads((self.directory / "services/wear/ready.json").read_text())["url"])

    def served(self) -> str:
        """The version that answers; empty while none does."""
        try:
            url = self.url()
            tensor = {"name": "x", "datatype": "FP32", "shape": [1, COLUMNS], "data": [0.5] * COLUMNS}
            got = httpx.post(f"{url}/v2/models/wear/infer", json={"inputs": [tensor]}, timeout=5)
            return str(got.json()["model_version"]) if got.status_code == 200 else ""
        except (OSError, ValueError, KeyError, httpx.HTTPError):
            return ""


class _Cameras(_Device):
    """The device of `examples/traffic`, under the names of the others."""

    def __init__(self, directory: Path, place: str) -> None:
        super().__init__(directory, place, 0, OFFLINE)
        prepared(self.owner, place)

    def version(self, number: int) -> None:
        """Make and register the example's models."""
        self.plimsoll("run", "--json")


def _delta(directory: Path) -> bool:
    """A model of 20 MB: ten layers of a network, of which the last one was trained anew."""
    chance = np.random.default_rng(SEED)
    layers = [chance.standard_normal((700, 720)).astype(np.float32) for _ in range(10)]
    files = []
    for name in ("old", "new"):
        nodes = [onnx.helper.make_node("MatMul", [f"h{n}", f"w{n}"], [f"h{n + 1}"]) for n in range(10)]
        ends = [onnx.helper.make_tensor_value_info(each, onnx.TensorProto.FLOAT, None) for each in ("h0", "h10")]
        weights = [numpy_helper.from_array(each, f"w{n}") for n, each in enumerate(layers)]
        graph = onnx.helper.make_graph(nodes, name, ends[:1], ends[1:], weights)
        files.append(directory / f"{name}.onnx")
        onnx.save(onnx.helper.make_model(graph, producer_name=name), files[-1])
        layers[9] = layers[9] + chance.standard_normal(layers[9].shape).astype(np.float32)
    began = time.perf_counter()
    old, new = files
    size = make_delta(old, new, directory / "delta")
    print(f"  a model of {new.stat().st_size / 1e6:.1f} MB, its delta in {time.perf_counter() - began:.1f} s")
    return verdict("delta when the last layers changed", 100 * size / new.stat().st_size, DELTA_LIMIT, "%")


def _memory(device: _Device) -> bool:
    time.sleep(5)
    found = {name: sum(map(_megabytes, pids)) for name, pids in device.processes().items()}
    together = sum(found.values())
    return all(
        (
            verdict("memory of agent and warden (PSS)", found["agent"], AGENT_LIMIT, "MB"),
            verdict("memory with the server (PSS)", together, TOGETHER_LIMIT, "MB"),
        )
    )


def _readings(port: int, seconds: float) -> bool:
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    sent: dict[str, float] = {}
    took: list[float] = []
    done = threading.Event()
    count = int(RATE * seconds)

    def heard(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        took.append(time.perf_counter() - sent[message.topic])
        if len(took) == count:
            done.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = heard
    client.on_socket_open = send_at_once
    client.connect("127.0.0.1", port)
    client.subscribe("answers/#", qos=1)
    client.loop_start()
    time.sleep(1)
    reading = json.dumps({"x": [0.5] * COLUMNS})
    began = time.perf_counter()
    for number in range(count):
        topic = f"sensors/{number}"
        sent[f"answers/{topic}"] = time.perf_counter()
        client.publish(topic, reading, qos=1)
        time.sleep(max(0.0, began + (number + 1) / RATE - time.perf_counter()))
    done.wait(30)
    client.loop_stop()
    took.sort()
    if len(took) < count:
        print(f"  MISSED {count - len(took)} of {count} readings were not answered")
        return False
    print(f"  {count} readings at {RATE}/s: p50 {took[count // 2] * 1000:.2f} ms, all answered")
    return verdict("reading to answer, p99", took[int(count * 0.99)] * 1000, READINGS_LIMIT, "ms")


def _cuts(device: _Device, cuts: int) -> bool:
    chance = random.Random(SEED)
    whole = 0
    for number in range(1, cuts + 1):
        before = device.served()
        device.version(number)
        device.plimsoll("edge", "rollout", "cabs", "--once")
        time.sleep(chance.uniform(0, 2.5))
        device.cut()
        device.start()
        deadline = time.monotonic() + 60
        while (after := device.served()) == "" and time.monotonic() < deadline:
            time.sleep(0.05)
        good = after in (before, str(number + 1))
        deadline = time.monotonic() + 60
        while good and device.served() != str(number + 1) and time.monotonic() < deadline:
            time.sleep(0.2)
        good = good and device.served() == str(number + 1)
        whole += good
        if not good:
            print(f"  cut {number}: version {before} before, {after or 'none'} after", flush=True)
    return verdict("cuts after which the device served a whole version", whole, cuts, "of them", at_least=True)


@contextlib.contextmanager
def _broker(directory: Path) -> Iterator[int]:
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        sys.exit("edge: needs mosquitto: apt-get install mosquitto")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    settings = directory / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
    process = subprocess.Popen([program, "-c", settings], stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield port
    finally:
        process.kill()
        process.wait()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _megabytes(pid: int) -> float:
    """Megabytes that are this process's own part of the memory: shared pages are divided among those who share them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    return 0.0
