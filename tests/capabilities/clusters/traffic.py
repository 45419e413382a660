"""A gateway for a cluster in memory, and the backends behind it: requests go where its routes say."""

from __future__ import annotations

import random
from collections.abc import Sequence

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.controllers import Gateways
from tests.capabilities.clusters.network import Asked, Said
from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.scene import Scene

API = "gateway.networking.k8s.io/v1"
ADDRESS, CONTROLLER, CLASS = "10.9.0.1", "example.com/gateway", "example"
_PIECES = tuple(1.0 + 0.5 * number for number in range(6))
NOBODY = Said(status=500)


def backend(pod: Pod) -> State | None:
    """The program of a pod that answers with its name, counts what it answers, and serves a stream on port 8082."""
    if "/tmp/stream" not in pod.script:
        return None

    def answer(asked: Asked) -> Said:
        if asked.port == 8082:
            return Said(pieces=_PIECES)
        pod.print(f"GET {asked.path}")
        return Said(body=pod.name)

    pod.serve(answer)
    return State.LASTS


class Gateway:
    """Answers at an address by the HTTPRoutes that are there. A subclass does one thing wrong."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.random = random.Random(7)

    def answer(self, asked: Asked) -> Said | None:
        """The answer to one request."""
        routes = self.scene.cluster.list(API, "HTTPRoute")
        rules = [rule for each in routes for rule in each["spec"]["rules"]]
        # The more a rule asks for, the earlier it is tried.
        for rule in sorted(rules, key=lambda each: -len(str(each.get("matches", "")))):
            if self.matches(rule, asked):
                return self.forward(asked, self.choose(rule["backendRefs"]))
        return Said(status=404)

    def matches(self, rule: Manifest, asked: Asked) -> bool:
        """Whether a rule is for a request."""
        return all(
            asked.path.startswith(match.get("path", {}).get("value", "/"))
            and all(asked.headers.get(each["name"]) == each["value"] for each in match.get("headers", []))
            for match in rule.get("matches", [])
        )

    def choose(self, references: Sequence[Manifest]) -> Manifest:
        """One of the backends of a rule, by their weights."""
        return self.random.choices(references, [each.get("weight", 1) for each in references])[0]

    def forward(self, asked: Asked, reference: Manifest) -> Said:
        """The answer of a backend."""
        pod, port = self.pod_behind(reference)
        if pod is None:
            return NOBODY
        forwarded = Asked(host=pod["status"]["podIP"], port=port, path=asked.path, headers=asked.headers)
        return self.scene.network.ask(forwarded) or Said(status=503)

    def pod_behind(self, reference: Manifest) -> tuple[Manifest | None, int]:
        """A pod of a Service, chosen at random, and its port."""
        services = self.scene.cluster.list("v1", "Service")
        found = next((each for each in services if each["metadata"]["name"] == reference["name"]), None)
        if found is None:
            return None, 0
        selector = ",".join(f"{key}={value}" for key, value in found["spec"]["selector"].items())
        pods = self.scene.cluster.list("v1", "Pod", found["metadata"]["namespace"], selector)
        (port,) = [each["targetPort"] for each in found["spec"]["ports"] if each["port"] == reference["port"]]
        return (self.random.choice(pods) if pods else None), int(port)


def gateways(
    scene: Scene,
    gateway: Gateway | None = None,
    *,
    classes: Sequence[str] = (CLASS,),
    controller: Gateways | None = None,
) -> None:
    """A node, and classes of gateways whose controller gives them an address, where a gateway answers."""
    scene.serve("gateway")
    scene.cluster.add_node("node-1")
    for name in classes:
        kind = {"apiVersion": API, "kind": "GatewayClass", "metadata": {"name": name}}
        scene.cluster.put({**kind, "spec": {"controllerName": CONTROLLER}})
    scene.nodes.programs.insert(0, backend)
    found = gateway or Gateway(scene)
    scene.network.listen(ADDRESS, found.answer)
    scene.run(controller or Gateways(CONTROLLER, ADDRESS))
