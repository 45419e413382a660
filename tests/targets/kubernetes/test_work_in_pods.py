"""Commands and trainings in pods: applied once, watched to their end, and what they left taken in."""

from __future__ import annotations

import threading

import msgspec
import pytest

from plimsoll.evidence.run_events import WorkerEnded, WorkerStarted, WorkloadFound
from plimsoll.kinds.dataset import CommandResult
from plimsoll.kinds.train import TrainResult
from plimsoll.kubernetes.memory.controllers import Ended
from plimsoll.planning.steps import InputFile, WorkerResources
from plimsoll.runtime.pod_task import TerminationReport
from plimsoll.targets.kubernetes import names
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Pod, events, fail, reasons

pytestmark = pytest.mark.slow


def reporting(reason: str, *, lasting: bool = False) -> Ended:
    """How a pod ends that says itself why."""
    message = msgspec.json.encode(TerminationReport(reason=reason, lasting=lasting)).decode()
    return Ended(code=1, message=message)


def test_a_single_worker_is_a_job_that_is_applied_once_and_leaves_its_result(bench: Bench) -> None:
    session, step = bench.session(), bench.command("clean", "rows.csv")
    carried = Carried(session.start(step, 1))

    assert carried.end().outcome == "done"
    assert bench.asked("PATCH", "/jobs/") == 1
    assert [pod.task.step for pod in bench.begun] == ["run/clean"]
    result = session.result(step)
    assert isinstance(result, CommandResult)
    assert [file.name for file in result.outputs] == ["rows.csv"]


def test_workers_are_observed_with_their_rank_their_pod_and_their_node(bench: Bench) -> None:
    session, step = bench.session(), bench.training("triage", workers=2)
    carried = Carried(session.start(step, 1))

    assert carried.end().outcome == "done"
    seen = list(events(carried.seen))
    started = sorted((event.rank, event.pod or "") for event in seen if isinstance(event, WorkerStarted))
    assert [rank for rank, _ in started] == [0, 1]
    assert {pod.name for pod in bench.begun} == {pod for _, pod in started}
    assert {event.node for event in seen if isinstance(event, WorkerStarted)} == {"node-0"}
    assert sorted((event.rank, event.code) for event in seen if isinstance(event, WorkerEnded)) == [(0, 0), (1, 0)]


def test_a_pod_finds_what_an_earlier_step_has_left(bench: Bench) -> None:
    session = bench.session()
    first = bench.command("first", "rows.csv")
    bench.does("run/first", lambda pod: pod.leave(rows_csv="a,b\n1,2\n"))
    read: list[bytes] = []

    def second(pod: Pod) -> None:
        read.append(pod.input(pod.task.inputs[0]))
        pod.leave()

    bench.does("run/second", second)
    given = InputFile(name="first", step=first.name, key=first.key, file="rows.csv")

    for step in (first, bench.command("second", inputs=(given,))):
        assert Carried(session.start(step, 1)).end().outcome == "done"
    assert read == [b"a,b\n1,2\n"]


def test_a_workload_that_is_under_way_is_watched_and_not_applied_again(bench: Bench) -> None:
    go = threading.Event()

    def patient(pod: Pod) -> None:
        assert go.wait(30)
        pod.leave()

    bench.does("run/clean", patient)
    step = bench.command("clean")
    first = Carried(bench.session().start(step, 1))
    assert bench.cluster.wait_for(lambda: bench.begun)
    second = Carried(bench.session().start(step, 1))
    assert bench.cluster.wait_for(lambda: any(isinstance(each, WorkloadFound) for each in events(second.seen)))
    go.set()

    assert [first.end().outcome, second.end().outcome] == ["done", "done"]
    assert bench.asked("PATCH", "/jobs/") == 1
    assert len(bench.begun) == 1


def test_a_workload_that_ended_well_while_nobody_watched_is_taken_in(bench: Bench) -> None:
    step = bench.command("clean")
    assert Carried(bench.session().start(step, 1)).end().outcome == "done"
    again = Carried(bench.session().start(step, 2))

    assert again.end().outcome == "done"
    assert len(bench.begun) == 1


def test_a_workload_that_failed_while_nobody_watched_is_removed_and_begun_anew(bench: Bench) -> None:
    session, step = bench.session(), bench.command("clean")
    name = names.workload(APPLICATION, step)
    condition = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    metadata = {"name": name, "namespace": APPLICATION, "labels": names.of_step(APPLICATION, step)}
    old = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "old"}]}}
    bench.cluster.put({**old, "spec": {"template": template}, "status": {"conditions": [condition]}})
    before = bench.job(step)
    carried = Carried(session.start(step, 2))

    assert carried.end().outcome == "done"
    assert not any(isinstance(each, WorkloadFound) for each in events(carried.seen))
    after = bench.job(step)
    assert before and after and before["metadata"]["uid"] != after["metadata"]["uid"]


def test_a_stopped_attempt_takes_its_workload_and_its_pods_away(bench: Bench) -> None:
    bench.does("train/triage", Pod.wait)
    session, step = bench.session(), bench.training("triage", workers=3)
    carried = Carried(session.start(step, 1))
    assert bench.cluster.wait_for(lambda: len(bench.begun) == 3)
    carried.attempt.stop()

    assert carried.end().outcome == "stopped"
    assert bench.job(step) is None
    assert bench.cluster.wait_for(lambda: bench.objects("Pod") == [])
    assert bench.objects("Service") == []
    assert session.result(step) is None


def test_what_stopped_pods_say_in_the_end_is_in_their_logs(bench: Bench) -> None:
    def last_words(pod: Pod) -> Ended:
        ended = pod.wait()
        pod.print("the last checkpoint is saved")
        return ended

    bench.does("run/long", last_words)
    session, step = bench.session(), bench.command("long")
    carried = Carried(session.start(step, 1))
    assert bench.cluster.wait_for(lambda: any(isinstance(each, WorkerStarted) for each in events(carried.seen)))
    carried.attempt.stop()

    assert carried.end().outcome == "stopped"
    log = session.context.state.log("run-1", step.name, 1, "0")
    assert log.read_text() == "the last checkpoint is saved\n"


def test_a_failed_attempt_leaves_no_workload_behind(bench: Bench) -> None:
    bench.does("run/clean", fail("no such column: age"))
    session, step = bench.session(), bench.command("clean")
    end = Carried(session.start(step, 1)).end()

    assert (end.outcome, end.reason) == ("failed", "ended with status 3: no such column: age")
    assert bench.job(step) is None
    assert bench.objects("Pod") == []


def test_without_a_message_the_last_line_of_the_log_is_the_reason(bench: Bench) -> None:
    def printing(pod: Pod) -> Ended:
        pod.print("loading\nValueError: no rows")
        return Ended(code=1)

    bench.does("run/clean", printing)
    end = Carried(bench.session().start(bench.command("clean"), 1)).end()
    assert end.reason == "ended with status 1: ValueError: no rows"


def test_a_worker_that_used_more_than_its_memory_is_said_to_have_done_so(bench: Bench) -> None:
    bench.does("run/clean", lambda _: Ended(code=137, reason="OOMKilled"))
    end = Carried(bench.session().start(bench.command("clean"), 1)).end()
    assert end.reason.startswith("it used more than its memory and was killed")


def test_the_worker_of_a_gang_that_failed_first_is_named_and_nothing_of_the_gang_counts(bench: Bench) -> None:
    left = threading.Event()

    def worker(pod: Pod) -> Ended | None:
        if pod.rank:
            assert left.wait(30)
            return reporting("rank 1 ran out of data")
        pod.leave(model_onnx="half")
        left.set()
        return None

    bench.does("train/triage", worker)
    session, step = bench.session(), bench.training("triage", workers=2)
    end = Carried(session.start(step, 1)).end()

    assert (end.outcome, end.reason) == ("failed", "worker 1 rank 1 ran out of data")
    assert session.result(step) is None


def test_what_a_gang_left_counts_once_all_of_it_has_ended_well(bench: Bench) -> None:
    bench.does("train/triage", lambda pod: pod.leave(model_onnx="weights", metrics_json='{"accuracy": 0.9}'))
    session, step = bench.session(), bench.training("triage", workers=3)

    assert Carried(session.start(step, 1)).end().outcome == "done"
    result = session.result(step)
    assert isinstance(result, TrainResult)
    assert (result.metrics, [file.name for file in result.outputs]) == (
        {"accuracy": 0.9},
        ["metrics.json", "model.onnx"],
    )
    assert sorted(pod.rank for pod in bench.begun) == [0, 1, 2]


def test_each_worker_of_a_gang_is_told_the_names_of_all(bench: Bench) -> None:
    step = bench.training("triage", workers=2)
    assert Carried(bench.session().start(step, 1)).end().outcome == "done"

    name = names.workload(APPLICATION, step)
    assert {pod.task.hosts for pod in bench.begun} == {(f"{name}-0.{name}", f"{name}-1.{name}")}
    (service,) = bench.cluster.list("v1", "Service", APPLICATION)
    assert (service["metadata"]["name"], service["spec"]["clusterIP"]) == (name, "None")
    pods = bench.cluster.list("v1", "Pod", APPLICATION)
    assert {(pod["spec"]["hostname"], pod["spec"]["subdomain"]) for pod in pods} == {
        (f"{name}-0", name),
        (f"{name}-1", name),
    }


@pytest.mark.parametrize("lasting", [True, False])
def test_a_pod_says_itself_whether_another_attempt_would_help(bench: Bench, lasting: bool) -> None:
    bench.does("run/clean", lambda _: reporting("the input is not in the registry", lasting=lasting))
    end = Carried(bench.session().start(bench.command("clean"), 1)).end()
    assert (end.outcome, end.reason, end.lasting) == ("failed", "the input is not in the registry", lasting)


def test_an_end_without_a_result_is_not_a_good_one(bench: Bench) -> None:
    bench.does("run/clean", lambda _: None)
    end = Carried(bench.session().start(bench.command("clean"), 1)).end()
    assert end.outcome == "failed"
    assert "its result is not in the registry" in end.reason


def test_a_step_that_no_node_has_room_for_says_so_and_runs_once_there_is_room(bench: Bench) -> None:
    step = bench.command("large", resources=WorkerResources(cpu=64))
    carried = Carried(bench.session().start(step, 1))
    assert bench.cluster.wait_for(carried.reasons)
    (reason,) = carried.reasons()
    assert reason.startswith("the pod ")
    assert reason.endswith("no node of 1 has enough free: cpu on 1; ask for less in `resources`, or add nodes")
    bench.cluster.add_node("large", cpu="96")

    assert carried.end().outcome == "done"


def test_a_workload_that_may_not_be_made_fails_with_the_servers_words(bench: Bench) -> None:
    session = bench.session()
    bench.cluster.deny(verb="patch", resource="jobs")
    end = Carried(session.start(bench.command("clean"), 1)).end()
    assert end.outcome == "failed"
    assert 'cannot patch resource "jobs"' in end.reason
    assert "--print-rbac" in end.reason


def test_pods_of_another_application_with_the_same_key_are_not_ours(bench: Bench) -> None:
    """Two applications may share a namespace, and a step that is the same in both has the same key in both."""
    bench.does("run/clean", Pod.wait)
    key = bench.key()
    theirs = Carried(bench.session(bench.target("other", namespace="both")).start(bench.command("clean", key=key), 1))
    assert bench.cluster.wait_for(lambda: bench.begun)
    bench.does("run/clean", fail("no such column"))
    ours = Carried(bench.session(bench.target(namespace="both")).start(bench.command("clean", key=key), 1))

    assert ours.end().outcome == "failed"
    assert bench.begun[0].name not in {each.pod for each in events(ours.seen) if isinstance(each, WorkerStarted)}
    assert reasons(theirs.seen) == []
    theirs.attempt.stop()
    assert theirs.end().outcome == "stopped"


def test_a_figure_that_is_no_number_is_noted_and_the_model_of_the_pod_is_kept(bench: Bench) -> None:
    figures = '{"accuracy": 0.9, "auc": NaN}'
    bench.does("train/triage", lambda pod: pod.leave(model_onnx="weights", metrics_json=figures))
    session, step = bench.session(), bench.training("triage")

    assert Carried(session.start(step, 1)).end().outcome == "done"
    result = session.result(step)
    assert isinstance(result, TrainResult)
    assert (result.metrics, result.notes) == ({"accuracy": 0.9}, ("metrics.json: 'auc' is NaN and is left out",))
    assert "model.onnx" in [file.name for file in result.outputs]
