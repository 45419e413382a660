"""Gangs in queues and in JobSets: held back whole, admitted once, and started anew by the cluster."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from plimsoll.evidence.run_events import WorkerStarted, WorkloadFound
from plimsoll.kubernetes.cluster import JOBSET, KUEUE, TRAINER
from plimsoll.kubernetes.memory.controllers import ContainerWaiting, Ended, JobSets, Queues, suspend_queued
from plimsoll.planning.steps import AnyStep
from plimsoll.runtime.pod_task import TerminationReport
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.reasons import containers
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Manifest, Pod, events, fail
from tests.targets.kubernetes.conftest import NewBench

pytestmark = pytest.mark.slow


class Queue:
    """A queue for gangs that admits nothing until it is opened."""

    def __init__(self, bench: Bench) -> None:
        self.open = False
        self._cluster = bench.cluster
        bench.cluster.mutate(suspend_queued)
        bench.cluster.run(JobSets(), Queues(lambda _: self.open))
        self._change("0")

    def admit(self) -> None:
        """Admit what waits."""
        self.open = True
        self._change("1")

    def _change(self, turn: str) -> None:
        metadata = {"name": "all", "annotations": {"turn": turn}}
        active = {"type": "Active", "status": "True"}
        spec: Manifest = {"namespaceSelector": {}}
        queue = {"apiVersion": KUEUE, "kind": "ClusterQueue", "metadata": metadata, "spec": spec}
        self._cluster.put({**queue, "status": {"conditions": [active]}})


@pytest.fixture
def queued(new_bench: NewBench) -> tuple[Bench, Queue]:
    bench = new_bench("jobset", "kueue")
    return bench, Queue(bench)


@pytest.fixture
def gangs(new_bench: NewBench) -> Bench:
    """A cluster with JobSet and without queues."""
    bench = new_bench("jobset")
    bench.cluster.run(JobSets())
    return bench


def job_set(bench: Bench, step: AnyStep) -> Manifest | None:
    return bench.find("JobSet", names.workload(APPLICATION, step), JOBSET)


def test_a_gang_waits_whole_until_its_queue_admits_it(queued: tuple[Bench, Queue]) -> None:
    bench, queue = queued
    carried = Carried(bench.session().start(bench.training("triage", workers=2), 1))
    assert bench.cluster.wait_for(carried.reasons)
    assert carried.reasons() == ["the queue plimsoll-shop has not admitted it yet"]
    assert bench.objects("Pod") == []
    queue.admit()

    assert carried.end().outcome == "done"
    assert len(bench.begun) == 2


def test_the_namespace_gets_a_way_into_the_queue_that_stays_for_the_next_gang(queued: tuple[Bench, Queue]) -> None:
    bench, queue = queued
    queue.admit()
    bench.does("train/triage", fail("diverged"))
    assert Carried(bench.session().start(bench.training("triage", workers=2), 1)).end().outcome == "failed"

    (local,) = bench.cluster.list(KUEUE, "LocalQueue", APPLICATION)
    assert local["spec"] == {"clusterQueue": "all"}
    assert local["metadata"]["labels"][names.APPLICATION] == APPLICATION


def test_an_admitted_gang_that_is_found_again_is_not_suspended_anew(
    queued: tuple[Bench, Queue], tmp_path: Path
) -> None:
    bench, queue = queued
    queue.admit()
    go = threading.Event()

    def patient(pod: Pod) -> None:
        assert go.wait(30)
        pod.leave()

    bench.does("train/triage", patient)
    step = bench.training("triage", workers=2)
    first = Carried(bench.session().start(step, 1))
    assert bench.cluster.wait_for(lambda: len(bench.begun) == 2)
    elsewhere = bench.session(bench.target(directory=tmp_path / "another-machine"))
    again = Carried(elsewhere.start(step, 1))
    assert bench.cluster.wait_for(lambda: any(isinstance(each, WorkloadFound) for each in events(again.seen)))
    found = job_set(bench, step)
    go.set()

    assert found and found["spec"]["suspend"] is False
    assert [first.end().outcome, again.end().outcome] == ["done", "done"]
    assert len(bench.begun) == 2


def test_a_gang_that_is_stopped_in_the_queue_leaves_it(queued: tuple[Bench, Queue]) -> None:
    bench, _ = queued
    step = bench.training("triage", workers=2)
    carried = Carried(bench.session().start(step, 1))
    assert bench.cluster.wait_for(carried.reasons)
    carried.attempt.stop()

    assert carried.end().outcome == "stopped"
    assert job_set(bench, step) is None


def test_a_gang_that_fails_is_started_anew_by_the_cluster_with_logs_of_its_own(gangs: Bench) -> None:
    def worker(pod: Pod) -> Ended | None:
        turn = pod.running.pod["metadata"]["labels"]["jobset.sigs.k8s.io/restart-attempt"]
        pod.print(f"rank {pod.rank}, turn {turn}")
        if turn == "0":
            # Both are seen before they fail, so that the second turn's logs are known to be second.
            assert gangs.cluster.wait_for(lambda: len(started()) == 2)
            return Ended(code=1)
        pod.leave()
        return None

    def started() -> list[WorkerStarted]:
        return [each for each in events(carried.seen) if isinstance(each, WorkerStarted)]

    gangs.does("train/triage", worker)
    session, step = gangs.session(), gangs.training("triage", workers=2, retries=1)
    carried = Carried(session.start(step, 1))

    assert carried.end().outcome == "done"
    state = session.context.state
    assert state.log("run-1", step.name, 1, "0").read_text() == "rank 0, turn 0\n"
    assert state.log("run-1", step.name, 1, "0.1").read_text() == "rank 0, turn 1\n"


def test_what_the_cluster_has_tried_again_is_not_tried_again_by_us(gangs: Bench) -> None:
    gangs.does("train/triage", fail("diverged"))
    end = Carried(gangs.session().start(gangs.training("triage", workers=2, retries=1), 1)).end()
    assert (end.outcome, end.lasting) == ("failed", True)
    assert "diverged" in end.reason


def test_a_reason_that_will_last_ends_a_gang_before_it_is_started_anew(gangs: Bench) -> None:
    report = TerminationReport(reason="the framework torch is not installed", lasting=True)

    def worker(pod: Pod) -> Ended:
        if pod.rank:
            return pod.wait()
        return Ended(code=1, message=msgspec.json.encode(report).decode())

    gangs.does("train/triage", worker)
    step = gangs.training("triage", workers=2, retries=500)
    end = Carried(gangs.session().start(step, 1)).end()

    assert (end.reason, end.lasting) == ("worker 0 the framework torch is not installed", True)
    assert job_set(gangs, step) is None
    # How often it starts meanwhile is the machine's affair: it is far from all 501 attempts of two workers.
    assert len(gangs.begun) < 500


def test_an_image_that_cannot_be_pulled_is_waited_for_a_while_and_then_the_reason(
    gangs: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "PULL_LIMIT", 0.2)
    gangs.does("train/triage", lambda _: ContainerWaiting(reason="ErrImagePull", message="unauthorized"))
    carried = Carried(gangs.session().start(gangs.training("triage", workers=2), 1))
    end = carried.end()

    assert end.outcome == "failed"
    assert end.reason.startswith("the image ")
    assert "cannot be pulled: its registry does not let the nodes in" in end.reason
    assert carried.reasons()[-1].startswith("2 of 2 workers wait: the image ")


def test_an_image_whose_name_is_wrong_is_not_waited_for(gangs: Bench) -> None:
    waiting = ContainerWaiting(reason="InvalidImageName", message="couldn't parse image name")
    gangs.does("train/triage", lambda _: waiting)
    end = Carried(gangs.session().start(gangs.training("triage", workers=2), 1)).end()
    assert end.reason == "the image's name is not valid: couldn't parse image name; correct it"


def test_a_gang_of_the_trainer_ends_as_its_controller_says(new_bench: NewBench) -> None:
    bench = new_bench("jobset", "trainer")
    session, step = bench.session(), bench.training("triage", workers=2)
    carried = Carried(session.start(step, 1))
    name = names.workload(APPLICATION, step)
    assert bench.cluster.wait_for(lambda: bench.find("TrainJob", name, TRAINER))
    assert bench.find("TrainingRuntime", name, TRAINER)
    found = bench.find("TrainJob", name, TRAINER)
    assert found is not None
    condition = {"type": "Failed", "status": "True", "reason": "JobsFailed", "message": "a worker did not start"}
    bench.cluster.put({**found, "status": {"conditions": [condition]}})
    end = carried.end()

    assert (end.outcome, end.reason, end.lasting) == ("failed", "JobsFailed: a worker did not start", True)
    assert bench.find("TrainJob", name, TRAINER) is None
    assert bench.find("TrainingRuntime", name, TRAINER) is None


def test_a_queue_of_another_application_is_not_used_for_it_goes_with_that_one(new_bench: NewBench) -> None:
    bench = new_bench("jobset", "kueue")
    for name in ("other", None):
        labels = names.of_application(name) if name else {}
        metadata = {"name": f"of-{name}", "namespace": APPLICATION, "labels": labels}
        bench.cluster.put(
            {"apiVersion": KUEUE, "kind": "LocalQueue", "metadata": metadata, "spec": {"clusterQueue": "all"}}
        )
    assert bench.target().cluster.queues == ("of-None",)
