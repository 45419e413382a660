"""Devices as a user has them: a real registry, agents as processes, models that were trained, and a link that goes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.cli.conftest import ENVIRONMENT, write
from tests.servers import CuttingProxy, free_port, registry, wait_for_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TRAIN = """
import json, os, pathlib, numpy, onnx
from onnx import TensorProto, helper, numpy_helper
rows = int(pathlib.Path("rows.txt").read_text())
info = helper.make_tensor_value_info
node, tables = helper.make_node("Gather", ["table", "i"], ["y"]), numpy.arange(rows, dtype=numpy.float32) * rows
given = info("i", TensorProto.INT64, [None])
if rows == 13:  # it loads, and refuses every request
    given = info("i", TensorProto.INT64, [None])
    node = helper.make_node("Gather", ["table", "i"], ["y"])
    tables = numpy.zeros([0], numpy.float32)
# The first layers of a model stay as they are from version to version.
bulk = numpy.random.default_rng(1).standard_normal(100_000).astype(numpy.float32)
nodes = [node, helper.make_node("ReduceMax", ["bulk"], ["z"], keepdims=0)]
graph = helper.make_graph(nodes, "g", [given],
    [info("y", TensorProto.FLOAT, [None]), info("z", TensorProto.FLOAT, [])],
    [numpy_helper.from_array(bulk, "bulk"), numpy_helper.from_array(tables, "table")])
out = pathlib.Path(os.environ["PLIMSOLL_OUTPUT"])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), out / "model.onnx")
(out / "metrics.json").write_text(json.dumps({"accuracy": 0.9}))
"""
SPEC = """
  models:
    m: {train: {run: PYTHON train.py, code: [rows.txt, train.py]}}
  services:
    m: {model: m, telemetry: {audit: true}}
  edges:
    cabs: {services: [m], registry: "%s", sync: 1s, rollout: ["100%%"], hold: 0s, limit: 60s}
""".replace("PYTHON", sys.executable)


class Owner:
    def __init__(self, directory: Path, place: str) -> None:
        directory.mkdir()
        self.directory = directory
        write(directory, SPEC % place, train_py=TRAIN)

    def plimsoll(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**ENVIRONMENT, "XDG_CONFIG_HOME": str(self.directory / ".config")}
        words = [sys.executable, "-m", "plimsoll", *arguments]
        ended = subprocess.run(
            words, cwd=self.directory, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert "Traceback" not in ended.stderr + ended.stdout
        return ended

    def train(self, rows: int) -> None:
        (self.directory / "rows.txt").write_text(str(rows))
        # The service of a model that refuses every request fails its test, and the version is registered all the same.
        self.plimsoll("run", "--json")

    def devices(self) -> Any:
        return json.loads(self.plimsoll("edge", "list", "cabs", "--json").stdout)["devices"]


class Cab:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory.parent / f"{directory.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, token: str = "") -> None:
        words = [sys.executable, "-m", "plimsoll", "edge", "agent", "--directory", str(self.directory)]
        if token:
            file = self.directory.parent / f"{self.directory.name}.token"
            file.write_text(token)
            words += ["--token-file", str(file)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, env=ENVIRONMENT, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def url(self) -> str:
        return str(json.loads((self.directory / "services/m/ready.json").read_text())["url"])

    def answer(self, number: int = 1, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        tensor = {"name": "i", "datatype": "INT64", "shape": [1], "data": [number]}
        got = httpx.post(f"{self.url()}/v2/models/m/infer", json={"inputs": [tensor]}, headers=headers, timeout=20)
        return got.status_code, got.json()

    def serves(self, rows: int) -> bool:
        try:
            status, said = self.answer()
        except (OSError, httpx.HTTPError, ValueError):
            return False
        return status == 200 and said["outputs"][0]["data"] == [rows]


def until(holds: Callable[[], object], what: str, limit: float = 90) -> None:
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield f"{found.host}"


@pytest.fixture
def owner(tmp_path: Path, place: str) -> Owner:
    made = Owner(tmp_path / "owner", f"{place}/{tmp_path.name.lower().replace('_', '-')[:40].strip('-')}")
    made.train(10)
    return made


def collected(owner: Owner) -> list[Any]:
    """The lines of the audit log that the owner has."""
    assert owner.plimsoll("edge", "logs", "cabs", "--output", "logs").returncode == 0
    paths = sorted((owner.directory / "logs/cab-1").glob("*-m-audit.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@pytest.fixture
def cab(tmp_path: Path) -> Iterator[Cab]:
    made = Cab(tmp_path / "cab")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def enrolled(owner: Owner, cab: Cab) -> None:
    token = json.loads(owner.plimsoll("edge", "enroll", "cabs", "cab-1", "--label", "site=north", "--json").stdout)
    cab.start(token["token"])
    until(lambda: "cab-1" in owner.devices(), "the device to ask to be taken in")
    assert owner.plimsoll("edge", "rollout", "cabs").returncode == 0
    until(lambda: cab.serves(10), "the first release")


def test_a_device_takes_releases_goes_on_without_a_link_and_takes_a_bad_one_back(owner: Owner, cab: Cab) -> None:
    enrolled(owner, cab)
    seen = owner.devices()["cab-1"]
    assert seen["labels"] == {"site": "north"}
    assert seen["report"]["services"][0]["model"] == "m@1"

    statuses: list[int] = []
    ending = threading.Event()

    def ask() -> None:
        while not ending.is_set():
            statuses.append(cab.answer()[0])

    asking = threading.Thread(target=ask)
    asking.start()
    owner.train(20)
    assert owner.plimsoll("edge", "rollout", "cabs").returncode == 0
    until(lambda: cab.serves(20), "the second release")
    # The first release took the whole model of 400 kB, the second one what differs.
    until(lambda: owner.devices()["cab-1"]["report"]["release"] == 2, "its report")
    assert seen["report"]["fetched"] > 400_000
    assert owner.devices()["cab-1"]["report"]["fetched"] < 20_000

    owner.train(13)
    bad = owner.plimsoll("edge", "rollout", "cabs")
    assert bad.returncode == 1
    assert "took it back" in bad.stdout
    assert cab.serves(20)
    ending.set()
    asking.join()
    assert set(statuses) == {200}

    cab.kill()
    until(lambda: not cab.serves(20), "the end of the server with its agent")
    cab.start()
    until(lambda: cab.serves(20), "what was served before")
    assert cab.stop() == 0


def test_a_device_without_a_link_serves_again_after_its_power_was_cut(tmp_path: Path, place: str, cab: Cab) -> None:
    host, port = place.split(":")
    proxy = CuttingProxy(int(port))
    owner = Owner(tmp_path / "owner", f"{host}:{proxy.port}/offline")
    owner.train(10)
    enrolled(owner, cab)
    proxy.close()
    cab.kill()
    cab.start()
    until(lambda: cab.serves(10), "the service without a link")
    until(lambda: "sync:" in cab.log.read_text(), "a word about the link")
    ids = [f"offline-{number}" for number in range(30)]
    for each in ids:
        assert cab.answer(headers={"x-request-id": each})[0] == 200
    again = CuttingProxy(int(port), at=proxy.port)
    try:
        until(lambda: ids[-1] in str(collected(owner)), "what was answered without a link")
        lines = collected(owner)
        assert [each["request_id"] for each in lines if str(each.get("request_id")).startswith("offline")] == ids
    finally:
        again.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("needs mosquitto: apt-get install mosquitto")
    port = free_port()
    (tmp_path / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([program, "-c", str(tmp_path / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.kill()
        process.wait()


class Station:
    """Publishes readings, and hears the answers."""

    def __init__(self, port: int) -> None:
        self.answers: list[tuple[str, Any]] = []
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = lambda _c, _d, each: self.answers.append((each.topic, json.loads(each.payload)))
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("answers/#", qos=1)
        self.client.loop_start()

    def send(self, topic: str, reading: object) -> None:
        self.client.publish(topic, json.dumps(reading), qos=1).wait_for_publish(20)


def test_readings_are_answered_on_another_topic_also_those_that_came_while_the_agent_was_away(
    tmp_path: Path, place: str, cab: Cab, broker: int
) -> None:
    owner = Owner(tmp_path / "owner", f"{place}/sensors")
    file = owner.directory / "plimsoll.yaml"
    subscribe = (
        f'subscribe: {{m: {{mqtt: "mqtt://127.0.0.1:{broker}", topic: s/+, answer: "answers/{{topic}}"}}}}, sync'
    )
    file.write_text(file.read_text().replace("sync", subscribe))
    owner.train(10)
    enrolled(owner, cab)
    station = Station(broker)
    try:
        until(lambda: "listens to s/+" in cab.log.read_text(), "the subscription")
        station.send("s/a", {"i": 3})
        station.send("s/b", {"j": 3})
        until(lambda: len(station.answers) == 2, "two answers")
        (first, second) = station.answers
        assert (first[0], first[1]["outputs"][0]["data"]) == ("answers/s/a", [30.0])
        assert (second[0], "no input 'j'" in second[1]["error"]) == ("answers/s/b", True)
        cab.kill()
        station.send("s/c", {"i": 4})
        cab.start()
        until(lambda: len(station.answers) == 3, "the answer to what came meanwhile")
        assert station.answers[2][1]["outputs"][0]["data"] == [40.0]
    finally:
        station.client.loop_stop()


@pytest.mark.series
def test_a_revoked_device_ends_its_services_and_removes_its_models(owner: Owner, cab: Cab) -> None:
    enrolled(owner, cab)
    assert owner.plimsoll("edge", "revoke", "cabs", "cab-1").returncode == 0
    until(lambda: not list((cab.directory / "models").glob("[!.]*")), "the removal of the models")
    assert not cab.serves(10)
    assert owner.devices()["cab-1"]["revoked"]


@pytest.mark.series
def test_a_device_follows_its_owner_to_a_new_key(owner: Owner, cab: Cab) -> None:
    enrolled(owner, cab)
    rotated = json.loads(owner.plimsoll("key", "rotate", "--json").stdout)
    owner.train(25)
    assert owner.plimsoll("edge", "rollout", "cabs").returncode == 0
    until(lambda: cab.serves(25), "a release by the new key")
    assert f"took the key {rotated['key'][:16]}" in cab.log.read_text()


@pytest.mark.series
def test_an_update_that_is_cut_at_any_moment_leaves_a_whole_device(owner: Owner, cab: Cab) -> None:
    enrolled(owner, cab)
    for number, rows in enumerate((21, 22, 23, 24)):
        owner.train(rows)
        owner.plimsoll("edge", "rollout", "cabs", "--once")
        time.sleep(0.3 * number)
        cab.kill()
        cab.start()
        until(lambda rows=rows: cab.serves(rows), f"release with {rows} rows")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("edge", "list", "buses"), "there is no group 'buses'"),
        (("edge", "enroll", "cabs", "Cab 1"), "cannot be the name of a device"),
        (("edge", "show", "cabs", "cab-9"), "there is no device 'cab-9'"),
        (("edge", "revoke", "cabs", "cab-9"), "there is no device 'cab-9'"),
    ],
)
def test_a_wrong_word_is_answered_in_one_sentence(owner: Owner, words: tuple[str, ...], said: str) -> None:
    ended = owner.plimsoll(*words)
    assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr


def test_a_second_agent_in_one_directory_is_refused(owner: Owner, cab: Cab) -> None:
    enrolled(owner, cab)
    second = Cab(cab.directory)
    second.start()
    assert second.process is not None
    assert second.process.wait(30) == 1
    assert "an agent runs in this directory already" in cab.log.read_text()
    os.kill(cab.process.pid if cab.process else 0, signal.SIGTERM)


def test_an_agent_that_was_never_enrolled_says_what_it_needs(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "plimsoll", "edge", "agent", "--directory", str(tmp_path / "none")]
    ended = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, timeout=50, check=False)
    assert (ended.returncode, "not enrolled" in ended.stderr) == (2, True)
