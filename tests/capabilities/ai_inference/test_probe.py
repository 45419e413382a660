"""Traffic follows weights and headers and is not held back: through a gateway in memory, right or wrong in one way."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from plimsoll.evidence.verdict import Outcome, Verdict
from plimsoll.kubernetes.api import Manifest
from tests.capabilities.clusters.network import Asked, Said
from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.scene import Scene
from tests.capabilities.clusters.traffic import ADDRESS, API, CLASS, CONTROLLER, Gateway, gateways

pytestmark = pytest.mark.slow

TRAFFIC = "ai_inference"


def check(scene: Scene) -> Verdict:
    verdict = scene.check(TRAFFIC)
    assert scene.left() == []
    assert scene.cluster.list(API, "Gateway") == []
    return verdict


def test_a_gateway_that_keeps_weights_and_headers_passes(scene: Scene) -> None:
    gateways(scene)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    assert "header 50 of 50; 6 pieces one by one" in verdict.figure


class EqualWeights(Gateway):
    def choose(self, references: Sequence[Manifest]) -> Manifest:
        return self.random.choice(references)


class OneForAll(Gateway):
    def choose(self, references: Sequence[Manifest]) -> Manifest:
        return references[0]


class FirstWeights(Gateway):
    """Does not follow a change of the weights."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._first: list[int] = []

    def choose(self, references: Sequence[Manifest]) -> Manifest:
        if len(references) == 1:
            return references[0]
        self._first = self._first or [each["weight"] for each in references]
        return self.random.choices(references, self._first)[0]


class NoHeaders(Gateway):
    def matches(self, rule: Manifest, asked: Asked) -> bool:
        return "headers" not in str(rule) and super().matches(rule, asked)


class Silent(Gateway):
    def answer(self, asked: Asked) -> Said | None:
        return None


class Busy(Gateway):
    def answer(self, asked: Asked) -> Said | None:
        return Said(status=503)


class Lone(Gateway):
    """Answers in the names of the backends, and sends them nothing."""

    def forward(self, asked: Asked, reference: Manifest) -> Said:
        if reference["name"] == "plimsoll-nobody":
            return Said(status=500)
        return Said(body=reference["name"])


class Greets(Gateway):
    """Answers some requests itself."""

    def forward(self, asked: Asked, reference: Manifest) -> Said:
        return Said(body="welcome") if self.random.random() < 0.2 else super().forward(asked, reference)


class Holding(Gateway):
    def forward(self, asked: Asked, reference: Manifest) -> Said:
        said = super().forward(asked, reference)
        return msgspec.structs.replace(said, pieces=said.pieces[-1:] * len(said.pieces))


class Cuts(Gateway):
    """Passes on nothing but the beginning of a stream."""

    def forward(self, asked: Asked, reference: Manifest) -> Said:
        said = super().forward(asked, reference)
        return msgspec.structs.replace(said, pieces=said.pieces[:2])


class NoStreams(Gateway):
    def forward(self, asked: Asked, reference: Manifest) -> Said:
        return Said(status=502) if reference["port"] == 81 else super().forward(asked, reference)


class AnyBackend(Gateway):
    """Has a backend answer on a route that leads to none."""

    def forward(self, asked: Asked, reference: Manifest) -> Said:
        known = [each["metadata"]["name"] for each in self.scene.cluster.list("v1", "Service")]
        name = reference["name"] if reference["name"] in known else known[0]
        return super().forward(asked, {**reference, "name": name})


@pytest.mark.parametrize(
    ("gateway", "cause"),
    [
        (EqualWeights, "traffic does not follow the weights"),
        (OneForAll, "traffic does not follow the weights"),
        (FirstWeights, "traffic does not follow the weights"),
        (NoHeaders, "the header does not lead to its backend"),
        (Silent, "no request reached a backend"),
        (Busy, "no request reached a backend"),
        (Lone, "something else answers requests in the names of the backends"),
        (Greets, "something else answers the requests"),
        (Holding, "the gateway holds back an answer until it is complete"),
        (Cuts, "the gateway holds back an answer until it is complete"),
        (NoStreams, "an answer in pieces does not pass the gateway"),
        (AnyBackend, "a backend answers on a route that has no backend"),
    ],
)
def test_a_gateway_that_does_not_do_what_its_route_says_fails(scene: Scene, gateway: type[Gateway], cause: str) -> None:
    gateways(scene, gateway(scene))
    verdict = check(scene)
    assert (verdict.outcome, verdict.cause) == (Outcome.FAIL, cause)


def test_a_gateway_that_never_gets_an_address_fails(scene: Scene) -> None:
    gateways(scene)
    facts = scene.facts()
    scene.cluster.delete({"apiVersion": API, "kind": "GatewayClass", "metadata": {"name": CLASS}})
    verdict = scene.check(TRAFFIC, facts)
    assert (verdict.outcome, verdict.cause) == (Outcome.FAIL, f"no gateway of class {CLASS} has an address")
    assert scene.left() == []


def test_a_class_without_an_address_does_not_hide_one_that_works(scene: Scene) -> None:
    gateways(scene, classes=("a-broken-one", CLASS))
    facts = scene.facts()
    scene.cluster.delete({"apiVersion": API, "kind": "GatewayClass", "metadata": {"name": "a-broken-one"}})
    assert scene.check(TRAFFIC, facts).outcome is Outcome.PASS
    (ready,) = [each.fact for each in scene.record(TRAFFIC) if each.event == "gateway"]
    assert (ready["name"], ready["controller"], ready["address"]) == (CLASS, CONTROLLER, ADDRESS)


def test_backends_that_do_not_start_are_no_failure_of_the_gateway(scene: Scene) -> None:
    def never(pod: Pod) -> State | None:
        return State.STARTS if "/tmp/stream" in pod.script else None

    gateways(scene)
    scene.nodes.programs.insert(0, never)
    assert check(scene).outcome is Outcome.ENVIRONMENT_ERROR


def test_the_second_weights_are_the_first_the_other_way_round(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    gateways(scene)
    monkeypatch.setattr("secrets.randbelow", lambda most: most - 1)
    check(scene)
    weights = [each.fact["weight"] for each in scene.record(TRAFFIC) if each.event == "measured"]
    assert weights == [90, 10, 100, 0]
