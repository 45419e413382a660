"""Requests go where a picker sends them: through a gateway in memory, right or wrong in one way."""

from __future__ import annotations

import pytest

from plimsoll.evidence.verdict import Outcome, Verdict
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.controllers import Gateways
from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import condition
from tests.capabilities.clusters.network import Asked, Said
from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.pickers import Picking, pools
from tests.capabilities.clusters.scene import Scene
from tests.capabilities.clusters.traffic import ADDRESS, API, CONTROLLER

pytestmark = pytest.mark.slow

INGRESS = "advanced_inference_ingress"


def check(scene: Scene) -> Verdict:
    verdict = scene.check(INGRESS)
    assert scene.left() == []
    assert scene.cluster.list("rbac.authorization.k8s.io/v1", "RoleBinding") == []
    return verdict


def test_requests_that_follow_models_and_queues_pass(scene: Scene) -> None:
    pools(scene)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    assert verdict.figure.endswith("30 to the shorter queue; none without the picker")


class AsAService(Picking):
    """Treats a pool as a Service of its servers."""

    def pick(self, names: list[str], model: str) -> str:
        return self.random.choice(names)

    def without_a_picker(self, servers: dict[str, Manifest]) -> Manifest | None:
        return servers[self.random.choice(sorted(servers))]


class Sticky(Picking):
    """Keeps sending a model to where it was first."""

    def pick(self, names: list[str], model: str) -> str:
        self._first = getattr(self, "_first", {})
        return str(self._first.setdefault(model, super().pick(names, model)))


class LongQueues(Picking):
    """Chooses by model alone, and for an unknown one the busiest server."""

    def pick(self, names: list[str], model: str) -> str:
        told = self.servers.told
        return min(names, key=lambda name: (told[name][0] != model, -told[name][1], name))


class FailsOpen(Picking):
    def without_a_picker(self, servers: dict[str, Manifest]) -> Manifest | None:
        return servers[sorted(servers)[0]]


class Lone(Picking):
    """Answers in the names of the servers itself."""

    def forward(self, asked: Asked, reference: Manifest) -> Said:
        pod, _ = self.pod_behind(reference)
        return Said(body=pod["metadata"]["name"]) if pod else Said(status=503)


class NeverThere(Picking):
    def forward(self, asked: Asked, reference: Manifest) -> Said:
        in_a_pool = reference.get("kind") == "InferencePool"
        return Said(status=503) if in_a_pool else super().forward(asked, reference)


@pytest.mark.parametrize(
    ("gateway", "cause"),
    [
        (AsAService, "requests do not go to the server that holds their model"),
        (Sticky, "requests do not follow a model that moved to the other server"),
        (LongQueues, "requests for a model that no server holds do not go to the shorter queue"),
        (FailsOpen, "requests reach the pool without its picker, although the pool has to fail closed"),
        (Lone, "something else answers requests in the name of a server"),
        (NeverThere, "no request reached a model server"),
    ],
)
def test_a_gateway_that_does_not_do_what_its_picker_says_fails(
    scene: Scene, gateway: type[Picking], cause: str
) -> None:
    pools(scene, gateway)
    verdict = check(scene)
    assert (verdict.outcome, verdict.cause) == (Outcome.FAIL, cause)


def test_one_server_that_answers_everything_shows_nothing(scene: Scene) -> None:
    class OneOnly(Picking):
        def pod_behind(self, reference: Manifest) -> tuple[Manifest | None, int]:
            pods = self.scene.cluster.list("v1", "Pod")
            servers = [each for each in pods if each["metadata"]["name"] in self.servers.told]
            return servers[0], 8000

    pools(scene, OneOnly)
    verdict = check(scene)
    assert (verdict.outcome, "the control failed" in verdict.cause) == (Outcome.UNKNOWN, True)


def test_a_gateway_that_refuses_a_pool_as_a_backend_fails_with_its_words(scene: Scene) -> None:
    class Refusing(Gateways):
        def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
            if found["kind"] != "HTTPRoute":
                super().reconcile(world, found, gone=gone)
            elif not gone and not (found.get("status") or {}).get("parents"):
                said = "InferencePool is not supported"
                why = condition("ResolvedRefs", true=False, reason="InvalidKind", message=said)
                parent = {"parentRef": found["spec"]["parentRefs"][0], "controllerName": CONTROLLER}
                world.hand.set_status(found, {"parents": [{**parent, "conditions": [condition("Accepted"), why]}]})

    pools(scene, controller=Refusing(CONTROLLER, ADDRESS))
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL
    assert "InvalidKind: InferencePool is not supported" in verdict.cause


def test_a_picker_that_does_not_start_is_no_failure_of_the_gateway(scene: Scene) -> None:
    def never(pod: Pod) -> State | None:
        return State.STARTS if pod.name == "picker" else None

    pools(scene)
    scene.nodes.programs.insert(0, never)
    assert check(scene).outcome is Outcome.ENVIRONMENT_ERROR
    assert scene.cluster.list(API, "Gateway") == []
