"""A workload that is watched while the API server, a node or a link is in trouble; and what its pods print."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.kubernetes import api as api_module
from plimsoll.kubernetes.memory import Fault
from plimsoll.kubernetes.memory.controllers import Ended
from plimsoll.kubernetes.memory.requests import Request
from plimsoll.planning.steps import AnyStep
from plimsoll.targets.kubernetes import logs, watching
from plimsoll.targets.kubernetes.session import KubernetesSession
from tests.servers import CuttingProxy
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Pod

pytestmark = pytest.mark.slow


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that are tried once, so that a watch sees each failure; the patience of requests has tests of its own."""
    monkeypatch.setattr(api_module, "_TRIES", 1)
    monkeypatch.setattr(api_module, "_PATIENT_TRIES", 1)
    monkeypatch.setattr(watching, "FINISH_LIMIT", 0.5)


class Gate:
    """Has the pods of a step wait until it is opened."""

    def __init__(self, bench: Bench, step: str) -> None:
        self.opened = threading.Event()
        bench.does(step, self._behave)

    def open(self) -> None:
        self.opened.set()

    def _behave(self, pod: Pod) -> None:
        assert self.opened.wait(40)
        pod.leave()


def of_jobs(request: Request) -> bool:
    return request.method == "GET" and "/jobs/" in request.path


def of_logs(request: Request) -> bool:
    return request.path.endswith("/log")


def log_of(session: KubernetesSession, step: AnyStep, process: str = "0") -> Path:
    return session.context.state.log("run-1", step.name, 1, process)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(when=of_jobs, times=3, status=503), "the API server does not answer (503)"),
        (Fault(when=of_jobs, times=3, status=500), "the API server does not answer (500)"),
        (Fault(when=of_jobs, times=3, reset=True), "the API server does not answer (no connection)"),
    ],
)
def test_an_api_server_that_is_away_for_a_while_is_waited_for(
    bench: Bench, impatient: None, fault: Fault, words: str
) -> None:
    gate = Gate(bench, "run/clean")
    carried = Carried(bench.session().start(bench.command("clean"), 1))
    assert bench.cluster.wait_for(lambda: bench.begun)
    bench.cluster.fail(fault)
    assert bench.cluster.wait_for(carried.reasons)
    gate.open()

    assert carried.end().outcome == "done"
    assert carried.reasons() == [words]


def test_an_api_server_that_stays_away_ends_the_attempt(
    bench: Bench, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SILENCE_LIMIT", 0.2)
    gate = Gate(bench, "run/clean")
    carried = Carried(bench.session().start(bench.command("clean"), 1))
    assert bench.cluster.wait_for(lambda: bench.begun)
    bench.cluster.fail(Fault(when=of_jobs, times=1000, status=503, message="the server is busy"))
    end = carried.end()
    gate.open()

    assert end.outcome == "failed"
    assert "the server is busy" in end.reason


def test_a_right_that_is_taken_away_is_no_reason_to_wait(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FINISH_LIMIT", 0.2)
    gate = Gate(bench, "run/clean")
    carried = Carried(bench.session().start(bench.command("clean"), 1))
    assert bench.cluster.wait_for(lambda: bench.begun)
    bench.cluster.deny(verb="list", resource="pods")
    end = carried.end()
    gate.open()

    assert end.outcome == "failed"
    assert 'cannot list resource "pods"' in end.reason


def test_a_workload_that_somebody_deleted_is_a_failure_that_names_it(bench: Bench) -> None:
    bench.does("run/clean", Pod.wait)
    step = bench.command("clean")
    carried = Carried(bench.session().start(step, 1))
    assert bench.cluster.wait_for(lambda: bench.begun)
    found = bench.job(step)
    assert found is not None
    bench.cluster.delete(found)
    end = carried.end()

    assert end.outcome == "failed"
    assert found["metadata"]["name"] in end.reason


def test_a_pod_that_cannot_end_is_forgotten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its node does not answer: the pod stays until somebody says that nothing of it is left."""
    monkeypatch.setattr(watching, "LOST_LIMIT", 0.2)
    never = threading.Event()

    def first_is_lost(pod: Pod) -> Ended | None:
        if len(bench.begun) == 1:
            never.wait(40)
            return Ended(code=137)
        assert bench.cluster.wait_for(lambda: bench.find("Pod", bench.begun[0].name) is None, 30)
        pod.leave()
        return None

    bench.does("run/clean", first_is_lost)
    carried = Carried(bench.session().start(bench.command("clean"), 1))
    assert bench.cluster.wait_for(lambda: bench.begun)
    lost = bench.begun[0].running.pod
    bench.cluster.delete(lost)

    assert carried.end().outcome == "done"
    never.set()
    forgotten = [each for each in bench.cluster.seen() if each.method == "DELETE" and "/pods/" in each.path]
    assert {each.path.rpartition("/")[2] for each in forgotten} == {lost["metadata"]["name"]}


def test_a_pod_that_is_ending_in_time_is_left_to_end(bench: Bench) -> None:
    bench.does("run/clean", lambda pod: pod.wait() if len(bench.begun) == 1 else pod.leave())
    carried = Carried(bench.session().start(bench.command("clean"), 1))
    assert bench.cluster.wait_for(lambda: bench.begun)
    bench.cluster.delete(bench.begun[0].running.pod)

    carried.end()
    assert bench.asked("DELETE", "/pods/") == 0


def test_what_pods_print_is_in_the_log_file_of_their_rank(bench: Bench) -> None:
    def printing(pod: Pod) -> None:
        pod.print(f"rank {pod.rank} begins\nrank {pod.rank} ends")
        pod.leave()

    bench.does("train/triage", printing)
    session, step = bench.session(), bench.training("triage", workers=2)
    assert Carried(session.start(step, 1)).end().outcome == "done"
    for rank in (0, 1):
        assert log_of(session, step, str(rank)).read_text() == f"rank {rank} begins\nrank {rank} ends\n"


def test_what_a_pod_prints_is_in_the_file_while_it_runs(bench: Bench) -> None:
    go = threading.Event()

    def printing(pod: Pod) -> None:
        pod.print("epoch 1")
        assert go.wait(30)
        pod.print("epoch 2")
        pod.leave()

    bench.does("run/clean", printing)
    session, step = bench.session(), bench.command("clean")
    carried = Carried(session.start(step, 1))
    log = log_of(session, step)
    assert bench.cluster.wait_for(lambda: log.exists() and log.read_text() == "epoch 1\n")
    go.set()

    assert carried.end().outcome == "done"
    assert log.read_text() == "epoch 1\nepoch 2\n"


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_log_whose_link_cannot_be_made_at_once_is_read_whole(bench: Bench, times: int) -> None:
    def printing(pod: Pod) -> None:
        pod.print("first\nlast")
        pod.leave()

    bench.does("run/clean", printing)
    bench.cluster.fail(Fault(when=of_logs, times=times, reset=True))
    session, step = bench.session(), bench.command("clean")

    assert Carried(session.start(step, 1)).end().outcome == "done"
    assert log_of(session, step).read_text() == "first\nlast\n"


def test_a_log_that_may_not_be_read_does_not_keep_the_step_from_its_end(bench: Bench) -> None:
    bench.cluster.fail(Fault(when=of_logs, times=1000, status=403))
    assert Carried(bench.session().start(bench.command("clean"), 1)).end().outcome == "done"


@pytest.fixture
def cut(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[CuttingProxy]:
    """A link to the API server that breaks three times, each after so many bytes more."""
    port = int(bench.cluster.url.rpartition(":")[2])
    proxy = CuttingProxy(port, down=[150_000, 150_000, 100_000])
    text = bench.cluster.kubeconfig.read_text().replace(f":{port}", f":{proxy.port}")
    (tmp_path / "through-proxy").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "through-proxy"))
    yield proxy
    proxy.close()


def test_a_log_whose_link_breaks_in_the_middle_is_taken_up_without_loss_and_without_doubling(
    bench: Bench, cut: CuttingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_AGAIN", 0.05)
    lines = [f"line {number} {'.' * 80}" for number in range(4000)]

    def printing(pod: Pod) -> None:
        for first in range(0, len(lines), 100):
            pod.print("\n".join(lines[first : first + 100]))
        assert bench.cluster.wait_for(lambda: not cut.cuts["down"], 30)
        pod.leave()

    bench.does("run/clean", printing)
    session, step = bench.session(bench.target(namespace=APPLICATION)), bench.command("clean")

    assert Carried(session.start(step, 1)).end().outcome == "done"
    assert log_of(session, step).read_text().splitlines() == lines
