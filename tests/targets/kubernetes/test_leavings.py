"""`plimsoll clean` on a cluster: what finished runs have left goes, and what anybody still needs stays."""

from __future__ import annotations

import threading

import pytest

from plimsoll.engine.cleaning.cleaning import Cleaning
from plimsoll.errors import PlimsollError
from plimsoll.targets.features import LEAVINGS
from plimsoll.targets.kubernetes import names
from plimsoll.targets.port import RunRequest
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Pod, events

pytestmark = pytest.mark.slow


def test_finished_workloads_go_and_their_results_stay(bench: Bench) -> None:
    target = bench.target()
    session = bench.session(target)
    step, gang = bench.command("clean", "rows.csv"), bench.training("triage", workers=2)
    for each in (step, gang):
        assert Carried(session.start(each, 1)).end().outcome == "done"
    session.close()
    told = [each.name for each in Cleaning(target).find().removals if each.kind == "objects"]
    assert bench.job(step) is not None, "nothing is removed before it is asked for"

    cleaned = Cleaning(target).carry_out()

    assert [each.name for each in cleaned.removals if each.kind == "objects"] == told
    assert f"Job/{names.workload(APPLICATION, step)}" in told
    assert bench.objects("Job", "batch/v1") == []
    assert bench.objects("Service") == []
    again = bench.session(target)
    assert again.result(step) is not None
    assert again.result(gang) is not None
    assert [each for each in Cleaning(target).find().removals if each.kind == "objects"] == []


def test_a_workload_that_goes_on_stays_and_the_next_run_watches_it(bench: Bench) -> None:
    go = threading.Event()

    def patient(pod: Pod) -> None:
        assert go.wait(30)
        pod.leave()

    bench.does("run/slow", patient)
    target, step = bench.target(), bench.command("slow")
    carried = Carried(bench.session(target).start(step, 1))
    assert bench.cluster.wait_for(lambda: bench.begun)
    notes: list[str] = []
    assert target.features.require(LEAVINGS).find((), notes.append) == []
    assert notes == [f"Job/{names.workload(APPLICATION, step)} stays: it has not ended"]
    assert [each for each in Cleaning(target).carry_out().removals if each.kind == "objects"] == []
    go.set()
    assert carried.end().outcome == "done"
    assert len(bench.begun) == 1


def test_a_result_that_no_run_has_taken_in_yet_is_not_lost(bench: Bench) -> None:
    """A gang's result counts once a run has seen all of it end well; its user was away at that moment."""
    target, step = bench.target(), bench.training("triage", workers=2)
    session = bench.session(target)
    results = session.context.results
    sealed = results.seal

    def cut_off(pending: str, key: str) -> None:
        raise PlimsollError("the user has gone")

    results.seal = cut_off  # type: ignore[method-assign]
    assert Carried(session.start(step, 1)).end().outcome == "failed"
    results.seal = sealed  # type: ignore[method-assign]
    session.close()
    cleaned = Cleaning(target).carry_out()
    assert [each for each in cleaned.removals if each.kind == "objects"] == []
    assert "has ended well, and no run has taken its result in yet" in cleaned.notes[0]
    again = bench.session(target)
    assert Carried(again.start(step, 1)).end().outcome == "done"
    assert len(bench.begun) == 2, "nothing was trained twice"
    again.close()
    assert [each.kind for each in Cleaning(target).carry_out().removals if each.kind == "objects"]


def test_what_is_somebody_elses_or_serves_stays(bench: Bench) -> None:
    target, step = bench.target(), bench.command("clean")
    bench.session(target)
    labels = {**names.of_application(APPLICATION), names.KEY: "0123456789abcdef"}
    objects = {
        "of-another": {**labels, names.APPLICATION: "other"},
        "of-a-service": {**labels, names.SERVICE: "triage"},
        "by-hand": {"app": "mine"},
        "of-no-step": names.of_application(APPLICATION),
        "left-behind": {**labels, names.STEP: "train.triage"},
    }
    for name, each in objects.items():
        metadata = {"name": name, "namespace": APPLICATION, "labels": each}
        bench.cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    removed = Cleaning(target).carry_out().removals
    assert [each.name for each in removed if each.kind == "objects"] == ["ConfigMap/left-behind"]
    assert {*objects} - {"left-behind"} <= {*bench.objects("ConfigMap")}
    assert bench.job(step) is None


def test_while_somebodys_run_goes_on_nothing_is_removed(bench: Bench) -> None:
    first = bench.target(directory=bench.directory / "a")
    session = bench.session(first, RunRequest(content="c1", number=3), run="r")
    step = bench.command("clean")
    assert Carried(session.start(step, 1)).end().outcome == "done"
    other = bench.target(directory=bench.directory / "b")
    with pytest.raises(PlimsollError, match="is under way") as caught:
        other.features.require(LEAVINGS).remove((), lambda _: None)
    assert caught.value.hint == "wait for its end, and clean then"
    assert bench.job(step) is not None
    session.close()
    other.features.require(LEAVINGS).remove((), lambda _: None)
    assert bench.job(step) is None


def test_a_failed_workload_of_a_run_that_was_cut_off_goes(bench: Bench) -> None:
    target = bench.target()
    bench.session(target).close()
    labels = {**names.of_application(APPLICATION), names.KEY: "0123456789abcdef", names.STEP: "run.bad"}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "trainer:1"}]}}
    bench.cluster.put(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "shop-run-bad", "namespace": APPLICATION, "labels": labels},
            "spec": {"template": template},
            "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
        }
    )
    removed = Cleaning(target).carry_out().removals
    assert [each.name for each in removed if each.kind == "objects"] == ["Job/shop-run-bad"]
    assert bench.objects("Job", "batch/v1") == []


def test_a_forced_step_is_carried_out_again_on_a_cluster(bench: Bench) -> None:
    target, step = bench.target(), bench.command("clean", "rows.csv")
    first = bench.session(target)
    assert Carried(first.start(step, 1)).end().outcome == "done"
    first.close()
    bench.does("run/clean", lambda pod: pod.leave(rows_csv="other"))
    forced = bench.session(target, RunRequest(content="c", forced=frozenset({step.name})))
    carried = Carried(forced.start(step, 1))
    assert carried.end().outcome == "done"
    assert len(bench.begun) == 2
    assert [event for event in events(carried.seen) if type(event).__name__ == "WorkloadFound"] == []
