"""A gateway's controller: classes, gateways and routes become accepted and programmed. Source: Gateway API v1."""

from __future__ import annotations

from plimsoll.kubernetes.cluster import GATEWAY
from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import condition, is_true, with_conditions
from plimsoll.kubernetes.memory.hand import Hand
from plimsoll.kubernetes.memory.refusals import Manifest

_GROUP = "gateway.networking.k8s.io"


class Gateways:
    """Accepts what belongs to its `name`, and gives gateways an `address`."""

    kinds = frozenset({(_GROUP, "gatewayclasses"), (_GROUP, "gateways"), (_GROUP, "httproutes")})

    def __init__(self, name: str = "plimsoll.dev/memory", address: str = "127.0.0.1") -> None:
        self.name = name
        self._address = address

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        """See to one object, and to those that wait for it."""
        hand = world.hand
        if found["kind"] == "GatewayClass":
            if not gone and found["spec"].get("controllerName") == self.name:
                _accept(hand, found, condition("Accepted"))
            for each in hand.list(GATEWAY, "Gateway"):
                self._programme(hand, each)
        elif found["kind"] == "Gateway":
            if not gone:
                self._programme(hand, found)
            for each in hand.list(GATEWAY, "HTTPRoute", found["metadata"]["namespace"]):
                self._route(hand, each)
        elif not gone:
            self._route(hand, found)

    def _programme(self, hand: Hand, gateway: Manifest) -> None:
        found = hand.find(GATEWAY, "GatewayClass", gateway["spec"]["gatewayClassName"])
        if found is None or not is_true(found, "Accepted") or found["spec"].get("controllerName") != self.name:
            return
        status = {
            "addresses": [{"type": "IPAddress", "value": self._address}],
            "conditions": with_conditions(gateway, condition("Accepted"), condition("Programmed")),
            "listeners": [
                {"name": each["name"], "attachedRoutes": 0, "supportedKinds": [], "conditions": []}
                for each in gateway["spec"].get("listeners") or []
            ],
        }
        hand.set_status(gateway, status)

    def _route(self, hand: Hand, route: Manifest) -> None:
        namespace = route["metadata"]["namespace"]
        old = {str(each["parentRef"]): each for each in (route.get("status") or {}).get("parents") or []}
        parents = []
        for each in route["spec"].get("parentRefs") or []:
            gateway = hand.find(GATEWAY, "Gateway", each["name"], each.get("namespace", namespace))
            if gateway is not None and is_true(gateway, "Accepted"):
                known = {"status": old.get(str(each), {})}
                conditions = with_conditions(known, condition("Accepted"), condition("ResolvedRefs"))
                for fresh in conditions:
                    fresh["observedGeneration"] = route["metadata"]["generation"]
                parents.append({"parentRef": each, "controllerName": self.name, "conditions": conditions})
        hand.set_status(route, {"parents": parents})


def _accept(hand: Hand, found: Manifest, fresh: Manifest) -> None:
    hand.set_status(found, {"conditions": with_conditions(found, fresh)})
