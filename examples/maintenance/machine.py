"""A machine with a computer beside it: readings go to its broker by MQTT, and the answers come on another topic.

    python machine.py --readings 500          # after `plimsoll run -f edge.yaml`

It starts a registry (Debian's docker-registry), a broker (Debian's mosquitto) and an agent on this machine, rolls the
newest model out, plays readings that the model has not learnt from, and ends all of it.
"""

import argparse
import contextlib
import csv
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

HERE = Path(__file__).parent
STATE = HERE / ".plimsoll" / "machine"
REGISTRY, BROKER = 8487, 8488
FILE = ("-f", "edge.yaml")
SETTINGS = {
    "registry.yaml": "version: 0.1\nlog: {{level: error}}\n"
    "storage: {{filesystem: {{rootdirectory: {state}/registry}}}}\n"
    'http: {{addr: "127.0.0.1:8487"}}\n',
    "mosquitto.conf": "listener 8488 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n",
}
LIMIT = 180.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--readings", type=int, default=500)
    parser.add_argument("--rate", type=float, default=50, help="readings a second")
    given = parser.parse_args()
    rows = live(given.readings)
    with beside_the_machine():
        took, right, found, unusual = played(rows, given.rate)
    correct = f"{right / len(rows):.3f} of them right"
    print(f"{len(rows)} readings answered, {correct}; {found} of {unusual} unusual ones found")
    print(f"from a reading to its answer: p50 {at(took, 0.5):.1f} ms, p99 {at(took, 0.99):.1f} ms")


def live(count: int) -> list[tuple[list[float], int]]:
    """Readings of nine sensors, and whether they are unusual."""
    found = sorted(HERE.glob(".plimsoll/results/*/output/live.csv"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
        if header[-1] == "anomaly":
            return [([float(each) for each in row[:-1]], int(row[-1])) for row in rows[:count]]
    raise SystemExit("there are no readings yet: plimsoll run -f edge.yaml")


@contextlib.contextmanager
def beside_the_machine() -> Iterator[None]:
    """Registry, broker and agent, with the newest model."""
    STATE.mkdir(parents=True, exist_ok=True)
    for name, text in SETTINGS.items():
        (STATE / name).write_text(text.format(state=STATE))
    disk, token = STATE / "press", STATE / "press.token"
    agent = [sys.executable, "-m", "plimsoll", "edge", "agent", "--directory", str(disk)]
    with contextlib.ExitStack() as running:
        running.enter_context(process([program("docker-registry"), "serve", "registry.yaml"], REGISTRY))
        running.enter_context(process([program("mosquitto"), "-c", "mosquitto.conf"], BROKER))
        if not disk.exists():
            token.write_text(plimsoll("edge", "enroll", "machines", "press"))
            agent += ["--token-file", str(token)]
        running.enter_context(process(agent))
        wait(lambda: told() is not None, "the device to join")
        print(plimsoll("edge", "rollout", "machines").splitlines()[-1], flush=True)
        yield


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        raise SystemExit(f"{name} is not there: apt-get install {name}")
    return found


@contextlib.contextmanager
def process(argv: Sequence[str], port: int = 0) -> Iterator[None]:
    with (STATE / "log").open("ab") as log:
        started = subprocess.Popen(argv, cwd=STATE, stdout=log, stderr=log)
    try:
        wait(lambda: not port or listens(port) or started.poll() is not None, f"{argv[0]} to listen at port {port}")
        if started.poll() is not None:
            raise SystemExit(f"{argv[0]} ended at once; see {STATE}/log")
        yield
    finally:
        started.terminate()
        started.wait(60)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def plimsoll(*words: str) -> str:
    argv = [sys.executable, "-m", "plimsoll", *words, *FILE]
    ended = subprocess.run(argv, cwd=HERE, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"plimsoll {' '.join(words)}: {ended.stdout}{ended.stderr}")
    return ended.stdout


def told() -> dict | None:
    """What the device has told last."""
    devices = json.loads(plimsoll("edge", "list", "machines", "--json"))["devices"]
    return devices.get("press", {}).get("report")


def played(rows: list[tuple[list[float], int]], rate: float) -> tuple[list[float], int, int, int]:
    """Milliseconds from reading to answer; right answers; unusual readings that were found; and all of those."""
    answers: dict[int, tuple[float, int]] = {}
    listening, done = threading.Event(), threading.Event()

    def heard(_client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        came, answer = time.perf_counter(), json.loads(message.payload)
        listening.set()
        if "outputs" in answer and answer.get("id", "").startswith("reading-"):
            label = next(each["data"][0] for each in answer["outputs"] if each["datatype"] == "INT64")
            answers[int(answer["id"].rpartition("-")[2])] = (came, int(label))
        if len(answers) == len(rows):
            done.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = heard
    client.on_socket_open = lambda _client, _data, opened: opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.connect("127.0.0.1", BROKER)
    client.subscribe("machines/press/readings/answers", qos=1)
    client.loop_start()
    # What comes before the device listens for the first time is nobody's: ask until it answers.
    deadline = time.monotonic() + LIMIT
    while not listening.wait(0.5):
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {LIMIT:.0f} s for the device to answer a reading; see {STATE}/log")
        client.publish("machines/press/readings", json.dumps({"x": rows[0][0]}), qos=1)
    begin, sent = time.perf_counter(), []
    for number, (values, _) in enumerate(rows):
        time.sleep(max(0.0, begin + number / rate - time.perf_counter()))
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, len(values)], "data": values}
        sent.append(time.perf_counter())
        reading = {"id": f"reading-{number}", "inputs": [tensor]}
        client.publish("machines/press/readings", json.dumps(reading), qos=1)
    if not done.wait(60):
        raise SystemExit(f"{len(rows) - len(answers)} of {len(rows)} readings were not answered; see {STATE}/log")
    client.disconnect()
    client.loop_stop()
    took = sorted(1000 * (came - sent[number]) for number, (came, _) in answers.items())
    right = sum(answers[number][1] == label for number, (_, label) in enumerate(rows))
    found = sum(answers[number][1] for number, (_, label) in enumerate(rows) if label)
    return took, right, found, sum(label for _, label in rows)


def at(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))]


def wait(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {LIMIT:.0f} s for {what}; see {STATE}/log")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
