"""A run that finds another one of the same content under way: it watches, and touches nothing of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from plimsoll.errors import TargetError
from plimsoll.evidence.run_events import WorkerStarted
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.kubernetes.memory.controllers import Ended
from plimsoll.planning.steps import AnyStep
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.manifests import gang
from plimsoll.targets.kubernetes.session import KubernetesSession
from plimsoll.targets.kubernetes.target import KubernetesTarget
from plimsoll.targets.kubernetes.work.pods import workload_of
from plimsoll.targets.port import RunRequest
from tests.targets.kubernetes.bench import APPLICATION, Bench, Carried, Pod, done, events, fail
from tests.targets.kubernetes.serving import inference, register_step, registered, serve_step, trained

pytestmark = pytest.mark.slow


def target_of(bench: Bench, user: str) -> KubernetesTarget:
    return bench.target(directory=bench.directory / user)


def run_of(bench: Bench, user: str, content: str = "c1") -> KubernetesSession:
    """The first run of somebody, in a directory of their own."""
    return bench.session(target_of(bench, user), RunRequest(content=content, number=1), f"{user}-1")


def under_way(bench: Bench, session: KubernetesSession, step: AnyStep) -> Carried:
    """A step that runs until it is told to end."""
    bench.does(step.name, Pod.wait)
    carried = Carried(session.start(step, 1))
    assert bench.cluster.wait_for(lambda: bench.begun)
    return carried


def started(cluster: MemoryCluster, carried: Carried) -> bool:
    return cluster.wait_for(lambda: any(isinstance(each, WorkerStarted) for each in events(carried.seen)))


def test_a_joiner_sees_the_other_s_workers_and_says_whose_run_it_is(bench: Bench) -> None:
    ada, step = run_of(bench, "ada"), bench.training("triage", workers=2)
    theirs = under_way(bench, ada, step)
    bob = run_of(bench, "bob")
    mine = Carried(bob.start(step, 1))
    assert started(bench.cluster, mine)
    assert bob.joined().startswith("run 1 of ")
    assert mine.reasons()[0].startswith(f"{bob.joined()} is at it since ")
    theirs.attempt.stop()
    mine.attempt.stop()
    assert (mine.end().outcome, theirs.end().outcome) == ("stopped", "stopped")


def test_a_joiner_that_gives_up_only_lets_go(bench: Bench) -> None:
    ada, step = run_of(bench, "ada"), bench.command("long")
    theirs = under_way(bench, ada, step)
    bob = run_of(bench, "bob")
    mine = Carried(bob.start(step, 1))
    assert started(bench.cluster, mine)
    mine.attempt.stop()
    assert mine.end().outcome == "stopped"
    bob.close()

    assert bench.job(step) is not None
    assert not bench.begun[0].running.stopped.is_set()
    theirs.attempt.stop()
    assert theirs.end().outcome == "stopped"
    assert bench.job(step) is None


def test_a_joiner_has_the_result_of_the_other_run_and_starts_nothing(bench: Bench) -> None:
    ada, step = run_of(bench, "ada"), bench.command("clean", "rows.csv")
    bob = run_of(bench, "bob")
    mine = Carried(bob.start(step, 1))
    assert bench.cluster.wait_for(mine.reasons)
    done(ada, step)
    ended = mine.end()
    assert ended.outcome == "done", (ended, mine.reasons())
    assert bob.result(step) == ada.result(step)
    assert len(bench.begun) == 1


def test_what_fails_in_the_other_run_fails_in_the_joiner_s(bench: Bench) -> None:
    def failing(pod: Pod) -> Ended:
        assert bench.cluster.wait_for(started_mine, 30)
        return fail("no such column")(pod)  # type: ignore[return-value]  # it ends

    ada, step = run_of(bench, "ada"), bench.command("clean")
    bench.does(step.name, failing)
    bob = run_of(bench, "bob")
    mine: list[Carried] = []

    def started_mine() -> bool:
        return bool(mine) and any(isinstance(each, WorkerStarted) for each in events(mine[0].seen))

    theirs = Carried(ada.start(step, 1))
    mine.append(Carried(bob.start(step, 1)))
    assert "no such column" in theirs.end().reason
    ada.close()
    end = mine[0].end()
    assert end.outcome == "failed"
    assert len(bench.begun) == 1 or "no such column" in end.reason


def test_a_joiner_goes_on_with_the_workload_of_a_run_that_was_killed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, step = run_of(bench, "ada"), bench.command("long")
    under_way(bench, ada, step)
    bob = run_of(bench, "bob")
    mine = Carried(bob.start(step, 1))
    assert started(bench.cluster, mine)
    # Nobody renews any more: as with `kill -9`, and a clock that has gone on.
    ada.context.lease._ending.set()
    assert bench.cluster.wait_for(lambda: spent(bench))
    assert bench.cluster.wait_for(lambda: not bob.joined())
    assert bench.cluster.wait_for(lambda: any("no sign" in each for each in mine.reasons()))
    assert len(bench.begun) == 1, "the workload goes on"
    mine.attempt.stop()
    assert mine.end().outcome == "stopped"
    assert bench.job(step) is None, "it is this run's by now"


def spent(bench: Bench) -> bool:
    """Have the lease's duration over."""
    found = bench.find("Lease", f"{APPLICATION}-run", names.LEASES)
    assert found is not None
    bench.cluster.put({**found, "spec": {**found["spec"], "leaseDurationSeconds": 0}})
    return True


def test_a_joiner_carries_out_what_a_run_that_was_stopped_has_left(bench: Bench) -> None:
    ada, step = run_of(bench, "ada"), bench.command("long", "rows.csv")
    theirs = under_way(bench, ada, step)
    bob = run_of(bench, "bob")
    mine = Carried(bob.start(step, 1))
    assert started(bench.cluster, mine)
    bench.does(step.name, lambda pod: pod.leave(rows_csv="1\n"))
    theirs.attempt.stop()
    assert theirs.end().outcome == "stopped"
    ada.close()
    ended = mine.end()
    assert ended.outcome == "done", (ended, mine.reasons())
    assert any(each.endswith("has ended: this run goes on") for each in mine.reasons())
    assert len(bench.begun) == 2


def test_a_joiner_registers_with_its_own_key_and_leaves_the_service_to_the_other_run(bench: Bench) -> None:
    ada = run_of(bench, "ada")
    bob = run_of(bench, "bob")
    training = trained(bench, ada)
    register = register_step(bench, training)
    serve = serve_step(bench, register)
    done(bob, register)
    mine = Carried(bob.start(serve, 1))
    assert bench.cluster.wait_for(mine.reasons)
    assert bench.objects("Deployment", "apps/v1") == []
    with inference(bench):
        done(ada, register)
        done(ada, serve)
        before = bench.cluster.list("apps/v1", "Deployment", APPLICATION)
        end = mine.end()
        assert end.outcome == "done", end.reason
    assert bob.result(serve) is not None
    assert bench.cluster.list("apps/v1", "Deployment", APPLICATION) == before


def test_a_run_of_other_content_is_refused_and_leaves_no_trace(bench: Bench) -> None:
    ada = run_of(bench, "ada")
    step = registered(bench, ada)
    before = {kind: bench.objects(kind) for kind in ("ConfigMap", "Pod")}
    with pytest.raises(TargetError, match="carries out other content of 'shop'"):
        run_of(bench, "bob", "c2")
    assert {kind: bench.objects(kind) for kind in before} == before
    assert ada.result(step) is not None


def test_a_run_that_others_have_taken_over_ends_nothing_of_theirs(bench: Bench) -> None:
    ada, step = run_of(bench, "ada"), bench.command("long")
    theirs = under_way(bench, ada, step)
    found = bench.find("Lease", f"{APPLICATION}-run", names.LEASES)
    assert found is not None
    bench.cluster.put({**found, "spec": {**found["spec"], "holderIdentity": "carol@desk"}})
    end = theirs.end()
    assert (end.outcome, end.lasting) == ("failed", True)
    assert "has taken over" in end.reason
    assert bench.job(step) is not None
    assert not bench.begun[0].running.stopped.is_set()


def test_removal_waits_for_nobody_s_run_and_is_refused_by_name(bench: Bench) -> None:
    ada, step = run_of(bench, "ada"), bench.command("long")
    theirs = under_way(bench, ada, step)
    with pytest.raises(TargetError, match=r"run 1 of .* is under way since"):
        target_of(bench, "bob").remove()
    assert bench.job(step) is not None

    said: list[str] = []
    removed = target_of(bench, "bob").remove(force=True, waiting=said.append)
    assert f"Job/{names.workload(APPLICATION, step)}" in removed
    assert said[0].startswith("taking the application from run 1 of ")
    end = theirs.end()
    assert (end.outcome, end.lasting) == ("failed", True)
    assert "`plimsoll down` of" in end.reason or "its lease has been deleted" in end.reason
    ada.close()
    assert bench.find("Namespace", APPLICATION, namespace="") is None


def test_removal_takes_no_lease_of_its_own_for_something_removed(bench: Bench) -> None:
    bench.target().api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": APPLICATION}})
    run_of(bench, "ada").close()
    assert bench.target().remove() == [f"ConfigMap/{APPLICATION}-trust"]
    assert bench.objects("Lease", names.LEASES) == []


@pytest.mark.parametrize("provider", sorted(gang.MAKERS))
def test_what_tells_of_a_workload_is_the_same_for_whoever_made_it_and_whoever_watches_it(
    bench: Bench, provider: str
) -> None:
    session, step = bench.session(), bench.training("triage", workers=2)
    made = workload_of(step, "name", session.context)
    followed = gang.followed(provider, "name", step, session.context.cluster)
    assert followed.objects == ()
    if provider == gang.provider_of(step, session.context.chosen):
        assert (followed.watched, followed.restarts) == (made.watched, made.restarts)
    assert followed.watched[2] == "name"


def test_a_service_that_somebody_promotes_is_left_to_them(bench: Bench) -> None:
    session = run_of(bench, "ada")
    step = serve_step(bench, registered(bench, session))
    now = datetime.now(UTC).isoformat()
    spec = {"holderIdentity": "carol@desk/7", "leaseDurationSeconds": 30, "renewTime": now}
    metadata = {"name": f"{APPLICATION}-api-promotion", "namespace": APPLICATION}
    lease = {"apiVersion": names.LEASES, "kind": "Lease", "metadata": metadata, "spec": spec}
    bench.cluster.put(lease)
    with inference(bench):
        end = Carried(session.start(step, 1)).end()
        assert end.outcome == "failed"
        assert "another promotion into this service is running, by carol@desk/7" in end.reason
        assert bench.objects("Deployment", "apps/v1") == []
        # It was killed: nobody renews its lease any more.
        bench.cluster.put({**lease, "spec": {**spec, "renewTime": "2026-01-01T00:00:00+00:00"}})
        done(session, step)
