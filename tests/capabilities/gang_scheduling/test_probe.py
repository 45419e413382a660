"""Gangs start whole or not at all: in a cluster in memory whose schedulers are right, or wrong in one way."""

from __future__ import annotations

import pytest

from plimsoll.capabilities.gang_scheduling import probe
from plimsoll.evidence.verdict import Outcome
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.admission import Admission
from plimsoll.kubernetes.memory.controllers.loop import World
from tests.capabilities.clusters.gangs import GROUPS, Kueue, OneLetIn, PlacingKueue, is_named, pod_groups, queues
from tests.capabilities.clusters.scene import Scene

GANG = "gang_scheduling"
pytestmark = pytest.mark.usefixtures("scene")


def test_a_queue_that_admits_gangs_whole_passes(scene: Scene) -> None:
    queues(scene)
    verdict = scene.check(GANG)
    assert verdict.outcome is Outcome.PASS, verdict
    assert "0 of 2 bound for 20 s" in verdict.figure
    assert "by admission only: 1 of 2 bound where the quota has room and the node none" in verdict.figure
    assert scene.left() == []


def test_a_queue_that_admits_only_what_its_node_can_hold_shows_placement_too(scene: Scene) -> None:
    queues(scene, PlacingKueue())
    verdict = scene.check(GANG)
    assert verdict.outcome is Outcome.PASS, verdict
    assert "by placement: 0 of 2 bound for 10 s beside processors that others hold" in verdict.figure


def test_a_scheduler_that_counts_its_own_gangs_and_not_the_nodes_room_fails(scene: Scene) -> None:
    pod_groups(scene, GROUPS["native"].counting_its_own())
    verdict = scene.check(GANG)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.figure == "kube-scheduler (PodGroup): 1 of 2 bound beside processors that others hold"


def test_a_cluster_with_two_schedulers_is_judged_by_placement_and_tells_of_both(scene: Scene) -> None:
    queues(scene)
    groups = GROUPS["native"]
    scene.cluster.serve(groups.api_version, "PodGroup", "podgroups")
    scene.cluster.serve(GROUPS["volcano"].api_version, "PodGroup", "podgroups")
    scene.cluster.mutate(groups.keep)
    scene.run(groups)
    verdict = scene.check(GANG)
    assert verdict.outcome is Outcome.PASS
    assert verdict.figure.startswith("kube-scheduler (PodGroup): 0 of 2 bound")
    assert "besides, Kueue: 0 of 2 bound" in verdict.figure
    assert verdict.figure.endswith("besides, Volcano: not tried")
    assert scene.left() == []


@pytest.mark.slow
@pytest.mark.parametrize("name", GROUPS)
def test_a_scheduler_that_places_groups_of_pods_whole_passes(scene: Scene, name: str) -> None:
    pod_groups(scene, GROUPS[name])
    verdict = scene.check(GANG)
    assert verdict.outcome is Outcome.PASS, verdict
    assert "by placement: 0 of 2 bound" in verdict.figure


@pytest.mark.slow
@pytest.mark.parametrize("name", GROUPS)
def test_a_scheduler_that_ignores_groups_starts_a_part_and_fails(scene: Scene, name: str) -> None:
    pod_groups(scene, GROUPS[name], whole=False)
    verdict = scene.check(GANG)
    assert (verdict.outcome, verdict.cause.partition(" started ")[2]) == (Outcome.FAIL, "a part of a gang")


def test_one_pod_that_is_let_in_past_the_queue_is_a_part_of_a_gang(scene: Scene) -> None:
    queues(scene)
    scene.run(OneLetIn())
    verdict = scene.check(GANG)
    assert (verdict.outcome, verdict.figure) == (Outcome.FAIL, "Kueue: 1 of 2 bound")


def test_a_queue_that_lets_one_pod_in_while_the_control_runs_is_caught(scene: Scene) -> None:
    class LateLetIn(OneLetIn):
        kinds = frozenset({("", "pods")})

        def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
            if "-control-" in found["metadata"]["name"]:
                (job,) = [each for each in world.hand.list("batch/v1", "Job") if is_named(each, "-waits")]
                super().reconcile(world, job, gone=False)

    queues(scene)
    scene.run(LateLetIn())
    verdict = scene.check(GANG)
    assert (verdict.outcome, verdict.figure) == (Outcome.FAIL, "Kueue: 1 of 2 bound")


def test_a_pod_that_ran_between_two_looks_is_known_by_its_event(scene: Scene) -> None:
    class Flash:
        kinds = frozenset({("batch", "jobs")})

        def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
            name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
            if is_named(found, "-waits") and not gone and not world.hand.find("v1", "Event", name, namespace):
                about = {"kind": "Pod", "name": f"{name}-0", "namespace": namespace}
                metadata = {"name": name, "namespace": namespace}
                event = {"apiVersion": "v1", "kind": "Event", "metadata": metadata, "involvedObject": about}
                world.hand.create({**event, "reason": "Scheduled", "message": "assigned"})

    queues(scene)
    scene.run(Flash())
    verdict = scene.check(GANG)
    assert (verdict.outcome, verdict.figure) == (Outcome.FAIL, "Kueue: 1 of 2 bound")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("admits", "cause"),
    [
        (lambda job, fits: False, "did not start a gang that fits"),
        (lambda job, fits: fits and not is_named(job, "-small"), "held back a gang that fits"),
        (lambda job, fits: fits and not is_named(job, "-waits"), "did not start the gang when it had room"),
        (lambda job, fits: fits or is_named(job, "-waits"), "started a part of a gang"),
    ],
    ids=["never", "not beside another", "not after the release", "more than fits"],
)
def test_a_queue_that_decides_by_something_else_than_room_fails(scene: Scene, admits: object, cause: str) -> None:
    queues(scene, Kueue(admits))  # type: ignore[arg-type]
    verdict = scene.check(GANG)
    assert (verdict.outcome, verdict.cause.split(":")[0]) == (Outcome.FAIL, f"Kueue {cause}")
    assert scene.left() == []


def test_a_queue_that_gives_no_reason_for_the_waiting_shows_nothing(scene: Scene) -> None:
    queues(scene, Kueue(silent=True))
    assert scene.check(GANG).outcome is Outcome.UNKNOWN


def test_other_work_that_takes_the_room_meanwhile_is_no_failure_of_the_scheduler(scene: Scene) -> None:
    class Neighbour:
        kinds = frozenset({("batch", "jobs")})

        def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
            jobs = [each for each in world.hand.list("batch/v1", "Job") if is_named(each, "-filler")]
            if jobs and not world.hand.find("v1", "Pod", "neighbour", "default"):
                container = {"name": "main", "image": "work:1", "resources": {"requests": {"cpu": "5"}}}
                metadata = {"name": "neighbour", "namespace": "default"}
                spec = {"containers": [container], "nodeName": "node-1"}
                world.hand.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    queues(scene)
    scene.run(Neighbour())
    assert scene.check(GANG).outcome in (Outcome.ENVIRONMENT_ERROR, Outcome.UNKNOWN)


def test_a_quota_of_pods_in_every_new_namespace_is_not_taken_for_a_scheduler(scene: Scene) -> None:
    class Quotas:
        kinds = frozenset({("", "namespaces")})

        def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
            name = found["metadata"]["name"]
            if (
                name.endswith("gang-scheduling")
                and not gone
                and not world.hand.find("v1", "ResourceQuota", "few", name)
            ):
                metadata = {"name": "few", "namespace": name}
                spec = {"hard": {"pods": "1"}}
                world.hand.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": spec})

    queues(scene)
    scene.run(Quotas())
    verdict = scene.check(GANG)
    assert verdict.outcome is Outcome.ENVIRONMENT_ERROR
    assert "exceeded quota" in verdict.cause
    assert "raise the quota" in verdict.remedy
    assert scene.left() == []


def test_a_node_without_room_is_no_failure_of_the_scheduler(scene: Scene) -> None:
    scene.serve("kueue")
    scene.cluster.add_node("node-1", cpu="100m")
    scene.run(Kueue())
    verdict = scene.check(GANG)
    assert (verdict.outcome, scene.left()) == (Outcome.ENVIRONMENT_ERROR, [])
    assert "100 thousandths" in verdict.cause


def test_the_jobs_of_a_gang_are_suspended_and_name_their_queue(scene: Scene) -> None:
    seen: list[Manifest] = []

    def note(asked: Admission) -> None:
        if asked.kind.plural == "jobs" and asked.verb == "create" and asked.object is not None:
            seen.append(asked.object)

    queues(scene)
    scene.cluster.validate(note)
    scene.check(GANG)
    assert {each["spec"]["suspend"] for each in seen} == {True}
    assert {each["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] for each in seen} == {"queue"}
    assert {each["spec"]["parallelism"] for each in seen} == {1, probe.GANG}
