"""Services that fail over from one cluster to another: requests while the primary is dead, and their way back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import Struct

from plimsoll.kinds.serve import ServeResult
from plimsoll.kubernetes.cluster import GATEWAY
from plimsoll.targets.kubernetes.work import failover
from tests.targets.kubernetes.gates import Gate, asked, gates
from tests.targets.kubernetes.serving import Inference, Server
from tests.targets.kubernetes.two_clusters import PARTS, Two, two_clusters

# A run over two clusters and their registries takes its time where many tests run beside each other.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

AFTER, BACK = 1.0, 2.0
OVER = PARTS.replace("target: cloud}", "target: cloud, failover: {to: onprem, after: 1s, back: 2s}}")


class Over(Struct, frozen=True, kw_only=True):
    """Both clusters, and their ways in. The service is in the cloud, and its standby on-premises."""

    two: Two
    onprem: Gate
    cloud: Gate


@pytest.fixture
def over(quick: None, monkeypatch: pytest.MonkeyPatch, base: Path, tmp_path: Path) -> Iterator[Over]:
    monkeypatch.setattr(failover, "LOOK", 0.1)
    with two_clusters(monkeypatch, base, tmp_path, "gateway") as two:
        onprem, cloud = two.servers
        sides = {"onprem": (two.onprem, onprem), "cloud": (two.cloud, cloud)}
        with gates(tmp_path / "credentials", **sides) as ways:
            yield Over(two=two, onprem=ways["onprem"], cloud=ways["cloud"])


def until(question: Callable[[], bool], limit: float = 40.0) -> bool:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if question():
            return True
        time.sleep(0.05)
    return False


@contextmanager
def dead(server: Server) -> Iterator[None]:
    """The servers of a cluster are gone for a while; then others answer at the same port."""
    port = server.server_port
    server.shutdown()
    server.server_close()
    yield
    again = Server(("127.0.0.1", port), Inference)
    threading.Thread(target=again.serve_forever, args=(0.01,), daemon=True).start()


class Client:
    """Asks all the time. `statuses` are the answers in their order."""

    def __init__(self, gate: Gate) -> None:
        self.statuses: list[int] = []
        self._gate = gate
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(20)

    def _ask(self) -> None:
        while not self._ended.wait(0.02):
            self.statuses.append(asked(self._gate))


def test_requests_are_answered_while_the_primary_is_dead_and_come_back_to_it(over: Over) -> None:
    run = over.two.run(OVER)
    assert run.state == "done", [(step.name, step.reason) for step in run.steps]
    serve, standby = run.step("serve/api").result, run.step("standby/api").result
    assert isinstance(serve, ServeResult)
    assert isinstance(standby, ServeResult)
    assert serve.digest == standby.digest
    models = {(each.step, each.to) for each in run.carried if each.kind == "model"}
    assert {("register/triage", "eks"), ("register/triage", "factory")} <= models
    assert over.cloud.weights() == [100, 0]

    with Client(over.cloud) as client:
        assert until(lambda: len(client.statuses) > 20)
        with dead(over.cloud.server):
            assert until(lambda: over.cloud.weights() == [0, 100])
            moved = len(client.statuses)
            assert until(lambda: len(client.statuses) > moved + 50)
        assert until(lambda: over.cloud.weights() == [100, 0])
        back = len(client.statuses)
        assert until(lambda: len(client.statuses) > back + 20)
    assert set(client.statuses[:20]) == {200}
    # What is lost is lost between the death and the move, and nothing after it.
    lost = [number for number, status in enumerate(client.statuses) if status != 200]
    assert lost
    assert lost[-1] <= moved
