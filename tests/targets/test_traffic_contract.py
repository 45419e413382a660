"""The contract of traffic, held for this machine with a real server and for a cluster in memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from plimsoll.files import replace_file
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Lineage
from plimsoll.runtime.server.service_file import ServiceFile, newest, read_service_file
from plimsoll.signing.keys import KeyRing
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.features import TRAFFIC
from plimsoll.targets.local import traffic as local_traffic
from plimsoll.targets.local.servers import RunningService, announce, model_file
from plimsoll.targets.local.target import LocalTarget
from plimsoll.targets.traffic import TrafficMover
from tests.servers import registry

from .kubernetes.promotion_bench import Bench, bench_on, quicken, weights_of
from .traffic_contract import TrafficBench, TrafficContract

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as found:
        yield f"{found.host}/tests"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    directory = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(directory / "config"))
        found = LocalService(directory)
    yield found
    found.close()


class TestClusterBehindAGateway(TrafficContract):
    """Weights of a route."""

    gateway = True

    @pytest.fixture
    def bench(self, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrafficBench]:
        with MemoryCluster(["gateway"], directory=tmp_path) as cluster:
            quicken(monkeypatch, cluster, tmp_path)
            with bench_on(cluster, tmp_path, place) as found:
                found.register()
                if self.gateway:
                    found.with_gateway()
                found.serve()
                yield TrafficBench(
                    mover=found.mover,
                    shares=lambda: self.shares(found),
                    everything=found.specs,
                    # Each look at a page of metrics finds more requests there.
                    ask=lambda: None,
                )
                assert found.watchman.outages == []

    def shares(self, bench: Bench) -> Mapping[str, int]:
        file = bench.record().file
        weights = weights_of(bench.cluster)
        if set(weights) == {"all"}:
            shares = file.traffic.get("triage", ())
            weights = {each.version: each.weight / 100 for each in shares} or {file.models[0].version: 1.0}
        return {version: round(100 * weight) for version, weight in weights.items() if weight}


class TestClusterWithoutAGateway(TestClusterBehindAGateway):
    """Shares that each server has."""

    gateway = False


class LocalService:
    """A real server of the service `triage` of an application on this machine, and its models."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = StateDirectory(directory)
        self.state.make()
        self.file = directory / "service.json"
        self._registry = ModelRegistry(self.state.registry, KeyRing.default())
        for number in (1, 2, 3):
            self._register(number)
        version = self._registry.find("triage@1")
        (path,) = (path for name, path in self._registry.open(version).files.items() if name == "model.onnx")
        self._first = ServiceFile(models=(model_file(version, path),))
        self.write()
        ready = directory / "ready.json"
        argv = [sys.executable, "-m", "plimsoll.runtime.server", "--service", str(self.file), "--port", "0"]
        self.process = subprocess.Popen([*argv, "--ready-file", str(ready)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 40
        while not ready.exists():
            assert self.process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server is not ready"
            time.sleep(0.02)
        self.url = str(json.loads(ready.read_text())["url"])

    def begin(self) -> None:
        """Version 1 alone, as `plimsoll run` leaves it."""
        self.write()
        os.kill(self.process.pid, signal.SIGHUP)
        announce(
            self.state,
            RunningService(
                name="triage",
                url=self.url,
                pid=self.process.pid,
                model="triage",
                version=1,
                run="r1",
                service_file=str(self.file),
            ),
        )

    def write(self) -> None:
        replace_file(self.file, json_of(self._first))

    def mover(self, stopped: Callable[[], bool]) -> TrafficMover:
        return LocalTarget(self.directory).features.require(TRAFFIC)("triage", None, lambda _: None, stopped)

    def shares(self) -> Mapping[str, int]:
        content = read_service_file(self.file)
        shares = content.traffic.get("triage", ())
        if not shares:
            return {newest([each.version for each in content.models]): 100}
        return {each.version: each.weight for each in shares if each.weight}

    def ask(self) -> None:
        """Ask until the version that has all requests has answered one: the server reads its file a moment later."""
        (version,) = self.shares()
        tensor = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1.0]}
        deadline = time.monotonic() + 20
        with httpx.Client(timeout=10) as client:
            while True:
                answer = client.post(f"{self.url}/v2/models/triage/infer", json={"inputs": [tensor]})
                assert answer.status_code == 200
                if answer.json()["model_version"] == version:
                    return
                assert time.monotonic() < deadline

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def _register(self, number: int) -> None:
        info = helper.make_tensor_value_info
        graph = helper.make_graph(
            [helper.make_node("Mul", ["x", "by"], ["y"])],
            "graph",
            [info("x", TensorProto.FLOAT, [None])],
            [info("y", TensorProto.FLOAT, [None])],
            [numpy_helper.from_array(np.array([number], dtype=np.float32), "by")],
        )
        path = self.directory / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
        lineage = Lineage(run="r1", step="train/triage", key=f"k{number}")
        self._registry.add("triage", {"model.onnx": path}, lineage=lineage, metrics={}, accept={})


def json_of(file: ServiceFile) -> bytes:
    # With spaces, as no program of ours writes it: what is restored is to be the same to the byte.
    import msgspec

    return msgspec.json.format(msgspec.json.encode(file), indent=2)


class TestLocal(TrafficContract):
    """The file of a server process."""

    @pytest.fixture
    def bench(self, service: LocalService, monkeypatch: pytest.MonkeyPatch) -> TrafficBench:
        monkeypatch.setattr(local_traffic, "POLL_INTERVAL", 0.05)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(service.directory / "config"))
        service.begin()
        return TrafficBench(
            mover=service.mover, shares=service.shares, everything=service.file.read_bytes, ask=service.ask
        )

    def test_a_record_that_says_nothing_to_undo_is_gone_after_each_end(
        self, bench: TrafficBench, service: LocalService
    ) -> None:
        mover = bench.new()
        with mover.exclusive():
            mover.add("1", "2")
            assert (service.directory / ".service.json.promotion").exists()
            mover.restore()
        assert not (service.directory / ".service.json.promotion").exists()

    def test_a_disk_that_is_full_while_it_is_restored_leaves_the_restoring_to_the_next(
        self, bench: TrafficBench, service: LocalService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = bench.everything()
        mover = bench.new()
        full = OSError(28, "No space left on device")

        def failing(*_: object) -> None:
            raise full

        with pytest.raises(OSError, match="No space"), mover.exclusive():
            mover.add("1", "2")
            mover.weigh("1", "2", 60)
            with monkeypatch.context() as patch:
                patch.setattr("plimsoll.targets.local.promotion_record.replace_file", failing)
                mover.restore()
        assert bench.shares() == {"1": 40, "2": 60}
        with bench.new().exclusive() as undone:
            assert undone is True
        assert bench.everything() == before

    def test_a_file_that_somebody_else_has_written_since_stays(
        self, bench: TrafficBench, service: LocalService
    ) -> None:
        mover = bench.new()
        with pytest.raises(ZeroDivisionError), mover.exclusive():
            mover.add("1", "2")
            raise ZeroDivisionError("cut off")
        service.write()
        theirs = service.file.read_bytes() + b"\n"
        replace_file(service.file, theirs)
        with bench.new().exclusive() as undone:
            assert undone is False
        assert service.file.read_bytes() == theirs

    def test_a_note_that_asks_at_the_same_moment_refuses_no_promotion(
        self, bench: TrafficBench, service: LocalService
    ) -> None:
        from plimsoll.targets.local.promotion_record import PromotionRecord

        asking = PromotionRecord(service.file)
        waited: list[float] = []
        with pytest.MonkeyPatch.context() as patch, pytest.raises(StopIteration):
            held = asking.exclusive()
            held.__enter__()

            def let_go(seconds: float) -> None:
                waited.append(seconds)
                if len(waited) == 1:
                    held.__exit__(None, None, None)

            patch.setattr(time, "sleep", let_go)
            with bench.new().exclusive():
                raise StopIteration
        assert len(waited) == 1

    def test_versions_that_are_neither_in_service_nor_the_way_back_are_unloaded(
        self, bench: TrafficBench, service: LocalService
    ) -> None:
        for old, new in (("1", "2"), ("2", "3")):
            mover = bench.new()
            with mover.exclusive():
                mover.add(old, new)
                mover.weigh(old, new, 100)
                mover.settle(old, new)
            bench.ask()
        assert {file.version for file in read_service_file(service.file).models} == {"2", "3"}
        assert bench.new().former() == "2"
