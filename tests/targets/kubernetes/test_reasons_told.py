"""What a run says while something on the cluster keeps it waiting or ends it: the reason, in time, and once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from plimsoll.evidence.run_events import WorkerStarted
from plimsoll.kinds.dataset import RunCommand
from plimsoll.kubernetes.memory import Admission
from plimsoll.kubernetes.memory.controllers import Ended
from plimsoll.planning.steps import AnyStep
from plimsoll.targets.kubernetes import logs, watching
from plimsoll.targets.kubernetes.reasons import admission
from plimsoll.targets.kubernetes.session import KubernetesSession
from plimsoll.targets.kubernetes.work import rollout
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Manifest, Pod, events
from tests.targets.kubernetes.serving import inference, registered, serve_step

pytestmark = pytest.mark.slow

MESH = "mesh-proxy"


@pytest.fixture(autouse=True)
def quick_to_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only spares users the noise of a cluster that is starting is left out."""
    monkeypatch.setattr(watching, "SETTLED", 0.0)
    monkeypatch.setattr(watching, "LINGER_LIMIT", 0.1)
    monkeypatch.setattr(rollout, "SETTLED", 0.0)
    monkeypatch.setattr(watching, "FINISH_LIMIT", 0.5)
    monkeypatch.setattr(admission, "MOMENT", 0.5)


def start(bench: Bench, step: AnyStep, session: KubernetesSession | None = None) -> Carried:
    return Carried((session or bench.session()).start(step, 1))


def told(bench: Bench, carried: Carried) -> str:
    """The first reason that is told."""
    assert bench.cluster.wait_for(carried.reasons), carried.seen
    return carried.reasons()[0]


def limit(bench: Bench, kind: str, **spec: Any) -> Manifest:
    bench.session()
    metadata = {"name": "team", "namespace": APPLICATION}
    return bench.cluster.put({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec})


def test_a_full_quota_is_told_once_and_waited_for(bench: Bench) -> None:
    quota = limit(bench, "ResourceQuota", hard={"pods": "1"})
    go = threading.Event()

    def patient(pod: Pod) -> None:
        assert go.wait(30)
        pod.leave()

    bench.does("run/first", patient)
    first = start(bench, bench.command("first"))
    assert bench.cluster.wait_for(lambda: bench.begun)
    second = start(bench, bench.command("second"))
    reason = told(bench, second)
    assert 'the quota "team" of namespace shop forbids pods of the Job shop-run-second' in reason
    assert "(pods: 1 allowed, 1 used, 1 more wanted)" in reason
    go.set()
    first.end()
    bench.cluster.put({**quota, "spec": {"hard": {"pods": "9"}}})
    job = bench.job(second.attempt.step)  # type: ignore[attr-defined]  # of an attempt on a cluster
    assert job is not None
    bench.cluster.put({**job, "metadata": {**job["metadata"], "annotations": {"looked": "again"}}})

    assert second.end().outcome == "done"
    assert second.reasons().count(reason) == 1


def test_a_quota_that_can_never_be_met_ends_the_step_with_its_reason(bench: Bench) -> None:
    limit(bench, "ResourceQuota", hard={"pods": "0"})
    end = start(bench, bench.command("clean")).end()
    assert 'the quota "team" of namespace shop forbids pods' in end.reason
    assert (end.outcome, end.lasting) == ("failed", True)


def test_a_limit_range_ends_the_step_with_its_reason(bench: Bench) -> None:
    limit(bench, "LimitRange", limits=[{"type": "Container", "max": {"cpu": "10m"}}])
    end = start(bench, bench.command("clean")).end()
    assert "a LimitRange of namespace shop forbids pods of the Job shop-run-clean" in end.reason
    assert "maximum cpu usage per Container is 10m" in end.reason
    assert end.lasting


def test_a_webhook_that_denies_pods_ends_the_step_with_its_words(bench: Bench) -> None:
    def deny(asked: Admission) -> str | None:
        return "no team label" if asked.kind.kind == "Pod" else None

    bench.cluster.validate(deny, "guard.example")
    end = start(bench, bench.command("clean")).end()
    assert 'the webhook "guard.example" denied pods of the Job shop-run-clean' in end.reason
    assert "no team label" in end.reason
    assert end.lasting


def test_a_webhook_that_soon_changes_its_mind_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "MOMENT", 30.0)
    asked_before: list[str] = []

    def deny_first(asked: Admission) -> str | None:
        if asked.kind.kind == "Pod" and asked.verb == "create":
            asked_before.append(asked.name)
            return "who is this?" if len(asked_before) == 1 else None
        return None

    bench.cluster.validate(deny_first, "guard.example")
    step = bench.command("clean")
    carried = start(bench, step)
    assert "who is this?" in told(bench, carried)
    job = bench.job(step)
    assert job is not None
    bench.cluster.put({**job, "metadata": {**job["metadata"], "annotations": {"looked": "again"}}})
    assert carried.end().outcome == "done"


def test_a_service_whose_pods_a_quota_refuses_says_so(bench: Bench) -> None:
    session = bench.session()
    model = registered(bench, session)
    limit(bench, "ResourceQuota", hard={"pods": "0"})
    with inference(bench):
        carried = start(bench, serve_step(bench, model), session)
        end = carried.end()
    assert 'the quota "team" of namespace shop forbids pods of the ' in end.reason
    assert (end.outcome, end.lasting) == ("failed", True)


def test_events_that_may_not_be_read_are_said_to_be_missing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "NO_POD_YET", 0.0)
    limit(bench, "ResourceQuota", hard={"pods": "0"})
    bench.cluster.deny(verb="list", resource="events")
    carried = start(bench, bench.command("clean"))
    assert "the right is missing to list them in namespace shop" in told(bench, carried)
    assert bench.asked("GET", "/events") == 1
    carried.attempt.stop()
    carried.end()


def test_an_evicted_worker_is_told_as_evicted(bench: Bench) -> None:
    looked = threading.Event()

    def evicted(pod: Pod) -> Ended:
        ended = pod.wait()
        assert looked.wait(30)
        return ended

    bench.does("run/clean", evicted)
    step = bench.command("clean")
    carried = start(bench, step)
    assert bench.cluster.wait_for(lambda: any(isinstance(each, WorkerStarted) for each in events(carried.seen)))
    name = bench.begun[0].name
    place = f"/api/v1/namespaces/{APPLICATION}/pods/{name}/eviction"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": APPLICATION}}
    bench.target().api.request("POST", place, body=body)
    node = bench.find("Node", "node-0", namespace="")
    assert node is not None
    bench.cluster.put({**node, "spec": {"unschedulable": True}})
    # Either of the one that ends or of its successor: both are seen in the same look.
    told(bench, carried)
    looked.set()
    assert bench.cluster.wait_for(lambda: bench.find("Pod", name) is None)
    over(bench, step, "BackoffLimitExceeded")
    end = carried.end()
    assert end.outcome == "failed"
    assert end.reason.startswith(f"the pod {name} on node-0 was evicted by the eviction API")
    assert "; node-0 is cordoned, as a node that is drained or taken down; run again, or give" in end.reason


def over(bench: Bench, step: AnyStep, reason: str) -> None:
    """Have a step's Job fail, as its controller says it."""
    job = bench.job(step)
    assert job is not None
    conditions = [{"type": "Failed", "status": "True", "reason": reason, "message": "Job was active too long"}]
    bench.cluster.put({**job, "status": {"conditions": conditions}})


def test_a_step_whose_time_has_passed_says_so_and_not_how_its_pod_ended(bench: Bench) -> None:
    bench.does("run/slow", Pod.wait)
    step = bench.step("slow", RunCommand(command="python slow.py", outputs=(), inputs=(), timeout=5.0))
    carried = start(bench, step)
    assert bench.cluster.wait_for(lambda: bench.begun)
    over(bench, step, "DeadlineExceeded")
    end = carried.end()
    assert end.reason == "did not end within its time limit of 5 s, and was ended; raise its `timeout`"


def meshed(bench: Bench) -> None:
    """Have a mesh put its proxy into every pod."""

    def inject(asked: Admission) -> Manifest | None:
        if asked.kind.kind != "Pod" or asked.verb != "create" or asked.object is None:
            return None
        containers = asked.object["spec"]["containers"]
        proxy = {"name": MESH, "image": "mesh:1", "securityContext": containers[0]["securityContext"]}
        asked.object["spec"]["containers"] = [*containers, proxy]
        return asked.object

    bench.cluster.mutate(inject)


def ends_beside_a_proxy(code: int) -> Callable[[Pod], Ended]:
    def ending(pod: Pod) -> Ended:
        pod.print("trained")
        if not code:
            pod.leave()
        return Ended(code=code, beside=(MESH,))

    return ending


def test_a_proxy_that_never_ends_does_not_keep_a_step_from_its_end(bench: Bench) -> None:
    meshed(bench)
    bench.does("train/triage", ends_beside_a_proxy(0))
    session, step = bench.session(), bench.training("triage", workers=2)
    carried = start(bench, step, session)

    assert carried.end().outcome == "done"
    assert f"the container {MESH} goes on in the pod" in carried.reasons()[-1]
    assert bench.job(step) is None
    assert bench.cluster.wait_for(lambda: bench.objects("Pod") == [])
    assert session.context.state.log("run-1", step.name, 1, "0").read_text() == "trained\n"


def test_a_step_that_fails_beside_a_proxy_fails_with_its_own_reason(bench: Bench) -> None:
    meshed(bench)

    def once(pod: Pod) -> Ended:
        return Ended(code=3, message="no rows", beside=(MESH,)) if len(bench.begun) == 1 else Ended(code=3)

    bench.does("run/clean", once)
    carried = start(bench, bench.command("clean"))
    end = carried.end()
    assert end.outcome == "failed"
    assert "ended with status 3" in end.reason
    assert any(f"the container {MESH} goes on in the pod" in reason for reason in carried.reasons())


@pytest.mark.parametrize("remnant", ["", "failed to create fsnotify watcher: too many open files"])
def test_what_is_printed_after_a_rotation_is_in_the_log_and_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, remnant: str
) -> None:
    monkeypatch.setattr(logs, "_AGAIN", 0.05)
    session, step = bench.session(), bench.command("clean")
    log = session.context.state.log("run-1", step.name, 1, "0")
    lines = [f"before {number}" for number in range(50)]

    def printing(pod: Pod) -> None:
        pod.print("\n".join(lines))
        assert bench.cluster.wait_for(lambda: log.exists() and log.read_text().splitlines() == lines, 30)
        bench.cluster.log(APPLICATION, pod.name).rotate(remnant)
        pod.print("after")
        pod.leave()

    bench.does("run/clean", printing)
    assert start(bench, step, session).end().outcome == "done"
    assert log.read_text().splitlines() == [*lines, "after"]
