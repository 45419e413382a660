"""Services that fail over from one cluster to another: requests while the primary is dead, and their way back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import Struct

from plimsoll.cli.spanned_plan import print_places
from plimsoll.engine.application_run import ApplicationRun
from plimsoll.engine.history import RunHistory
from plimsoll.engine.preparation import decide, missing_rights
from plimsoll.kinds.serve import ServeResult
from plimsoll.kubernetes.cluster import GATEWAY
from plimsoll.targets.features import TRAFFIC
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.work import failover
from tests.targets.kubernetes.gates import Gate, asked, gates
from tests.targets.kubernetes.serving import Inference, Server
from tests.targets.kubernetes.two_clusters import PARTS, Two, two_clusters

# A run over two clusters and their registries takes its time where many tests run beside each other.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

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
def dead(gate: Gate) -> Iterator[None]:
    """The servers of a cluster are gone for a while, and no pod of theirs is ready; then others answer there."""
    port = gate.server.server_port
    gate.server.shutdown()
    gate.server.server_close()
    for each in gate.servers:
        each.ready(ready=False)
    yield
    for each in gate.servers:
        each.ready()
    again = Server(("127.0.0.1", port), Inference)
    threading.Thread(target=again.serve_forever, args=(0.01,), daemon=True).start()


def available(over: Over) -> int:
    """How many of the service's own servers are ready, as the cluster says."""
    found = over.two.cloud.find("Deployment", "shop-api", "apps/v1")
    assert found is not None
    return int(found["status"].get("availableReplicas", 0))


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
        with dead(over.cloud):
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


@pytest.mark.series
def test_what_stands_by_is_told_by_plan_and_status_and_removed_by_down(
    over: Over, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared = over.two.prepared(OVER)
    print_places(prepared)
    told = capsys.readouterr().out
    assert "over    api: from cloud to onprem after 1 s without a ready server, back after 2 s with one\n" in told
    assert "where   standby/api      onprem: the file says so\n" in told
    assert {each.runs for each in decide(prepared)} == {True}
    assert not missing_rights(prepared)
    prepared.target.close()
    assert over.two.run(OVER).state == "done"
    again = over.two.run(OVER)
    assert {step.cached for step in again.steps} == {True}

    target = over.two.prepared(OVER).target
    assert dict(target.services()) == {
        "api": f"http://{over.cloud.address}/api",
        "api-standby": f"http://{over.onprem.address}/api-standby",
    }
    address = f"http://{over.onprem.address}/api-standby"
    assert f"onprem stands by at {address}, after 1 s without a ready server" in target.service_notes("api")
    assert "it stands by for api" in target.service_notes("api-standby")
    # Whoever is led to the other gateway as a whole asks it as the first one.
    assert asked(over.onprem) == asked(over.onprem, "/api-standby/v2/models/triage") == 200

    with dead(over.cloud):
        assert until(lambda: over.cloud.weights() == [0, 100])
        notes = target.service_notes("api")
        assert any(each.startswith(f"failed over to onprem at {address} since 2") for each in notes), notes
        assert not any("is not as it should be" in each for each in notes), notes
        assert over.two.cloud.cluster.wait_for(lambda: available(over) == 0)
        # It is up for whoever asks it, although it has no server of its own.
        assert target.services()["api"] == f"http://{over.cloud.address}/api"
        assert "api" not in target.problems()
    target.remove()
    target.close()
    for bench in (over.two.onprem, over.two.cloud):
        assert not bench.objects("Deployment", "apps/v1")
        assert not bench.objects("HTTPRoute", GATEWAY)
        assert not bench.objects("Role", "rbac.authorization.k8s.io/v1")


@pytest.mark.series
def test_a_promotion_while_requests_are_away_leaves_them_there_and_they_come_back_to_its_shares(over: Over) -> None:
    two = over.two
    assert two.run(OVER).state == "done"
    metrics = json.dumps({"accuracy": 0.95})
    two.onprem.does("train/triage", lambda pod: pod.leave(model_onnx="better", metrics_json=metrics))
    (two.directory / "train.py").write_text("# better")
    assert two.run(OVER.partition("  services")[0]).state == "done"
    with dead(over.cloud):
        assert until(lambda: over.cloud.weights() == [0, 100])
        target = two.prepared(OVER).target
        mover = target.features.require(TRAFFIC)("triage", "api", lambda _: None, lambda: False)
        with mover.exclusive():
            mover.add("1", "2")
            mover.weigh("1", "2", 30)
            assert over.cloud.weights() == [0, 0, 100]
            own = json.loads(over.cloud.route()["metadata"]["annotations"][names.OWN_WEIGHTS])
            assert sorted(own.values()) == [30, 70]
            mover.settle("1", "2")
        assert over.cloud.weights() == [0, 100]
        target.close()
    assert until(lambda: over.cloud.weights() == [100, 0])


@pytest.mark.series
def test_a_run_that_was_stopped_before_the_failover_goes_on_with_it(over: Over) -> None:
    over.cloud.lets = False
    prepared = over.two.prepared(OVER)
    run = ApplicationRun(prepared)
    found: list[RunHistory] = []
    carrying = threading.Thread(target=lambda: found.append(run.carry_out()))
    carrying.start()
    assert over.cloud.begun.wait(200)
    run.stop()
    carrying.join(60)
    prepared.target.close()
    assert found[0].state == "stopped"
    over.cloud.lets = True
    over.cloud.processes[-1].kill()

    again = over.two.run(OVER)
    assert again.state == "done", [(step.name, step.reason) for step in again.steps]
    assert over.cloud.weights() == [100, 0]
    assert over.two.begun() == ["run/features", "train/triage"]


@pytest.mark.series
def test_what_moves_requests_goes_on_where_the_one_before_it_was_killed(over: Over) -> None:
    assert over.two.run(OVER).state == "done"
    with dead(over.cloud):
        assert until(lambda: over.cloud.weights() == [0, 100])
        since = over.cloud.route()["metadata"]["annotations"][names.FAILED_OVER]
        over.cloud.processes[-1].kill()
        assert until(lambda: len(over.cloud.processes) > 1 and asked(over.cloud) == 200)
        assert over.cloud.weights() == [0, 100]
        assert over.cloud.route()["metadata"]["annotations"][names.FAILED_OVER] == since
    assert until(lambda: over.cloud.weights() == [100, 0])


@pytest.mark.series
def test_a_standby_that_pods_do_not_reach_fails_its_step_with_what_to_do(
    over: Over, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "SEEN_LIMIT", 2.0)
    parts = OVER.replace("back: 2s}", "back: 2s, at: 'http://127.0.0.1:9'}")
    run = over.two.run(parts)
    step = run.step("failover/api")
    assert step.state == "failed"
    assert "do not reach api-standby at http://127.0.0.1:9/api-standby" in step.reason
    assert "name another address with failover.at" in step.reason
    assert run.step("serve/api").state == "done"
