"""One run over two clusters and this machine: what travels, what stays, what waits, and that nothing is done twice."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plimsoll.cli.main import main
from plimsoll.engine.application_run import ApplicationRun
from plimsoll.engine.history import RunHistory
from plimsoll.engine.preparation import decide, prepare
from plimsoll.engine.travelling import travelling
from plimsoll.errors import FileError
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.run_events import Waiting, event_of
from plimsoll.kinds.register import RegisterResult
from plimsoll.kinds.serve import ServeResult
from plimsoll.kubernetes.memory import Fault
from plimsoll.targets.options import TargetOptions
from tests.cli.ended import Ended, one_object
from tests.targets.kubernetes.bench import Pod
from tests.targets.kubernetes.two_clusters import PARTS, Two, two_clusters

# A run over two clusters and their registries takes its time where many tests run beside each other.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SECRET = "rows-that-nobody-else-may-see"
Plimsoll = Callable[..., Ended]
OUTAGE = Fault(times=100_000, status=503, message="the link is cut")


@pytest.fixture
def two(quick: None, monkeypatch: pytest.MonkeyPatch, base: Path, tmp_path: Path) -> Iterator[Two]:
    with two_clusters(monkeypatch, base, tmp_path) as made:
        yield made


def mentions(directory: Path, text: str) -> list[str]:
    """The files below a directory that have a text in them."""
    return [str(path) for path in directory.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_model_is_trained_on_one_cluster_and_served_on_another_with_the_same_digest(two: Two) -> None:
    run = two.run()
    assert run.state == "done", [(step.name, step.reason) for step in run.steps]
    assert run.where == "local, onprem and cloud"
    assert two.begun() == ["run/features", "train/triage"]
    registered, served = run.step("register/triage").result, run.step("serve/api").result
    assert isinstance(registered, RegisterResult)
    assert isinstance(served, ServeResult)
    assert served.digest == registered.digest
    assert two.cloud.objects("Deployment", "apps/v1")
    assert not two.onprem.objects("Deployment", "apps/v1")
    travelled = {(each.step, each.origin, each.to): each for each in run.carried}
    assert set(travelled) == {
        ("fetch/orders", "local", "factory"),
        ("train/triage", "factory", "local"),
        ("register/triage", "local", "factory"),
        ("register/triage", "local", "eks"),
    }
    assert travelled["register/triage", "local", "eks"].digest == registered.digest
    assert travelled["register/triage", "local", "eks"].kind == "model"
    assert all(each.size > 0 for each in travelled.values())
    assert mentions(two.cloud_data, registered.digest.removeprefix("sha256:"))

    again = two.run()
    assert {step.cached for step in again.steps} == {True}
    assert not again.carried
    assert two.begun() == ["run/features", "train/triage"]


def test_a_plan_says_where_steps_run_and_what_travels_with_its_digest_and_size(two: Two) -> None:
    prepared = two.prepared()
    assert {each.runs for each in decide(prepared)} == {True}
    first = {(each.step, each.to): each for each in travelling(prepared)}
    assert first["register/triage", "eks"].size is None
    prepared.target.close()
    run = two.run()

    prepared = two.prepared()
    found = {(each.step, each.to): each for each in travelling(prepared)}
    prepared.target.close()
    registered = run.step("register/triage").result
    assert isinstance(registered, RegisterResult)
    model = found["register/triage", "eks"]
    assert (model.digest, model.there, model.model) == (registered.digest, True, True)
    assert model.size


def test_a_result_that_goes_from_one_cluster_to_another_has_the_same_digest_there(two: Two) -> None:
    read: list[bytes] = []

    def reading(pod: Pod) -> None:
        read.append(pod.input(pod.task.inputs[0]))
        pod.leave(m_csv="b\n2\n")

    two.onprem.does("run/rows", lambda pod: pod.leave(rows_csv="a\n1\n"))
    two.cloud.does("run/more", reading)
    parts = """\
  datasets:
    rows: {run: python make.py, outputs: [rows.csv], target: onprem}
    more: {run: python prepare.py, inputs: [rows/rows.csv], outputs: [m.csv], target: cloud}
    near:
      run: cp $PLIMSOLL_INPUT_ROWS $PLIMSOLL_OUTPUT/near.csv
      inputs: [rows/rows.csv]
      outputs: [near.csv]
      target: local
"""
    run = two.run(parts)
    assert run.state == "done", [(step.name, step.reason) for step in run.steps]
    assert read == [b"a\n1\n"]
    assert (two.directory / ".plimsoll/latest/run/near/near.csv").read_text() == "a\n1\n"
    digests = {each.digest for each in run.carried if each.step == "run/rows"}
    assert {(each.origin, each.to) for each in run.carried} == {("factory", "eks"), ("factory", "local")}
    assert len(digests) == 1


STAYING = """\
  datasets:
    rows: {run: python make.py, outputs: [rows.csv], stay: onprem}
    features: {run: python prepare.py, inputs: [rows], outputs: [rows.csv]}
  models:
    triage: {train: {run: python train.py, inputs: [features]}}
  services:
    api: {model: triage, target: cloud}
  batches:
    backlog: {model: triage, input: features/rows.csv}
"""


def test_rows_that_stay_are_on_no_other_wire_and_the_journal_lists_all_that_left(two: Two) -> None:
    rows = f"a\n{SECRET}\n"
    metrics = json.dumps({"accuracy": 0.9})
    two.onprem.does("run/rows", lambda pod: pod.leave(rows_csv=rows))
    two.onprem.does("run/features", lambda pod: pod.leave(rows_csv=rows))
    two.onprem.does(
        "train/triage",
        lambda pod: pod.leave(model_onnx="weights", metrics_json=metrics, predictions_csv=rows),
    )
    two.onprem.does("score/backlog", lambda pod: pod.leave(predictions_csv=rows))
    run = two.run(STAYING)

    assert run.state == "done", [(step.name, step.reason) for step in run.steps]
    assert mentions(two.onprem_data, SECRET)
    assert not mentions(two.cloud_data, SECRET)
    assert not mentions(two.directory, SECRET)
    assert not any(SECRET in str(each) for each in two.cloud.cluster.seen())
    assert {(each.step, each.to) for each in run.carried} == {
        ("train/triage", "local"),
        ("register/triage", "factory"),
        ("register/triage", "eks"),
    }
    again = two.run(STAYING)
    assert {step.cached for step in again.steps} == {True}
    assert not mentions(two.directory, SECRET)


@pytest.mark.parametrize("target", [", target: cloud", ", target: local"])
def test_a_plan_that_would_carry_rows_that_stay_is_refused_with_the_place_of_the_part(two: Two, target: str) -> None:
    parts = STAYING.replace("outputs: [rows.csv]}\n  models", f"outputs: [rows.csv]{target}}}\n  models")
    with pytest.raises(FileError) as refused:
        two.prepared(parts)
    assert "needs rows of run/rows, which stay on onprem" in str(refused.value)
    assert "plimsoll.yaml:10:" in str(refused.value)
    assert not two.begun()


def test_rows_that_stay_are_refused_where_two_clusters_have_one_registry(two: Two) -> None:
    options = TargetOptions(base=f"rootfs:{two.onprem.base}", registry=two.onprem.registry)
    with pytest.raises(FileError, match="is that of cloud too"):
        prepare(two.file(STAYING), None, options)


def test_a_target_that_does_not_answer_delays_its_own_steps_and_no_others(two: Two) -> None:
    two.cloud.cluster.fail(OUTAGE)
    trained = threading.Event()
    metrics = json.dumps({"accuracy": 0.9})

    def train(pod: Pod) -> None:
        pod.leave(model_onnx="weights", metrics_json=metrics)
        trained.set()

    two.onprem.does("train/triage", train)
    prepared = two.prepared()
    assert prepared.facts.parts["eks"].away
    run = ApplicationRun(prepared)
    found: list[RunHistory] = []
    carrying = threading.Thread(target=lambda: found.append(run.carry_out()))
    carrying.start()
    try:
        assert trained.wait(30)
        journal = prepared.state.journal(run.id)

        def awaited() -> bool:
            events = [(each.subject, event_of(each)) for each in read_journal(journal)]
            return any(step == "serve/api" and isinstance(event, Waiting) for step, event in events)

        assert two.onprem.cluster.wait_for(awaited, 20)
    finally:
        two.cloud.cluster.mend()
        carrying.join(40)
    prepared.target.close()

    assert not carrying.is_alive()
    assert found[0].state == "done", [(step.name, step.reason) for step in found[0].steps]
    assert two.begun() == ["run/features", "train/triage"]


def test_a_model_is_served_while_the_cluster_that_trained_it_is_away(two: Two) -> None:
    parts = PARTS.partition("  services")[0]
    assert two.run(parts).state == "done"
    two.onprem.cluster.fail(OUTAGE)

    run = two.run()
    assert run.state == "done", [(step.name, step.reason) for step in run.steps]
    assert [step.name for step in run.steps if not step.cached] == ["serve/api"]


def test_a_run_that_was_stopped_goes_on_where_it_was_on_every_target(two: Two) -> None:
    begun = threading.Event()

    def endless(pod: Pod) -> object:
        begun.set()
        return pod.wait()

    two.onprem.does("train/triage", endless)  # type: ignore[arg-type]
    prepared = two.prepared()
    run = ApplicationRun(prepared)
    found: list[RunHistory] = []
    carrying = threading.Thread(target=lambda: found.append(run.carry_out()))
    carrying.start()
    assert begun.wait(30)
    run.stop()
    carrying.join(40)
    prepared.target.close()
    assert found[0].state == "stopped"
    metrics = json.dumps({"accuracy": 0.9})
    two.onprem.does("train/triage", lambda pod: pod.leave(model_onnx="weights", metrics_json=metrics))

    again = two.run()
    assert again.state == "done"
    assert [step.name for step in again.steps if step.cached] == ["fetch/orders", "run/features"]
    assert two.begun() == ["run/features", "train/triage", "train/triage"]


def test_a_link_that_is_cut_in_the_middle_and_healed_costs_no_step_twice(two: Two) -> None:
    begun, go = threading.Event(), threading.Event()
    metrics = json.dumps({"accuracy": 0.9})

    def train(pod: Pod) -> None:
        begun.set()
        assert go.wait(30)
        pod.leave(model_onnx="weights", metrics_json=metrics)

    two.onprem.does("train/triage", train)
    prepared = two.prepared()
    run = ApplicationRun(prepared)
    found: list[RunHistory] = []
    carrying = threading.Thread(target=lambda: found.append(run.carry_out()))
    carrying.start()
    assert begun.wait(30)
    two.onprem.cluster.fail(OUTAGE)
    two.onprem.cluster.drop_watches()
    go.set()
    time.sleep(0.5)
    two.onprem.cluster.mend()
    carrying.join(50)
    prepared.target.close()

    assert not carrying.is_alive()
    assert found[0].state == "done", [(step.name, step.reason) for step in found[0].steps]
    assert two.begun() == ["run/features", "train/triage"]


@pytest.fixture
def plimsoll(two: Two, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Plimsoll]:
    """The command in this process, in the application's directory."""
    monkeypatch.chdir(two.directory)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def plimsoll(*arguments: str) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["plimsoll", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        told = capsys.readouterr()
        return Ended(int(caught.value.code or 0), told.out, told.err)

    yield plimsoll
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_verbs_without_a_target_are_for_all_targets_of_the_file(two: Two, plimsoll: Plimsoll) -> None:
    two.file()
    base = ("--base", f"rootfs:{two.onprem.base}")
    planned = plimsoll("plan", *base)
    assert planned.status == 0, planned.err
    assert planned.out.startswith("shop on local, onprem and cloud\n")
    assert "  where   serve/api        cloud: the file says so\n" in planned.out
    assert "  travels register/triage  the model from local to cloud for serve/api, not made yet\n" in planned.out

    ran = plimsoll("run", *base)
    assert ran.status == 0, ran.err
    assert "register/triage went from local to cloud" in ran.out
    assert "What travelled" in next((two.directory / ".plimsoll" / "runs").rglob("report.html")).read_text()

    told = one_object(plimsoll("status", "--json"))
    assert told["targets"] == {"local": "local", "factory": "onprem", "eks": "cloud"}
    assert told["services"]["api"]["url"]
    assert told["notes"]["api"][0] == "it is on cloud"
    travelled = {(each["step"], each["to"]) for each in told["carried"]}
    assert ("register/triage", "eks") in travelled

    two.onprem.cluster.fail(OUTAGE)
    assert "onprem does not answer: " in plimsoll("status").out
    down = plimsoll("down")
    assert "on cloud" in down.out
    assert "onprem does not answer, and what is there stays up" in down.out
    assert not two.cloud.objects("Deployment", "apps/v1")


def test_a_target_on_the_command_line_is_for_all_parts_and_others_are_refused(two: Two, plimsoll: Plimsoll) -> None:
    two.file()
    ended = plimsoll("plan", "--target", "cloud")
    assert ended.status == 2
    assert "the part names the target 'onprem', but the run is on 'cloud'" in ended.error
    assert "plimsoll.yaml:10:" in ended.error
    assert "leave --target out: each part then runs where it says" in ended.error
