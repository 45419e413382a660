"""The scheduler of claims for a cluster in memory: it allocates devices by class, attribute, slots and counters."""

from __future__ import annotations

import re

from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.admission import Admission
from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import condition, is_leaving, with_conditions
from plimsoll.kubernetes.memory.hand import Hand
from tests.capabilities.clusters.clock import LEASES
from tests.capabilities.clusters.devices import (
    BY_NAME,
    CLAIMED,
    DRA,
    DRIVER,
    NODE,
    PLUGIN,
    RESOURCE,
    SHARED,
    SHARED_PLUGIN,
    Device,
    Rack,
    allocated,
    publish,
)
from tests.capabilities.clusters.scene import Scene

_OWN = "claims-first"
_SELECTS = re.compile(r'^device\.attributes\["[^"]+"\]\.(\w+) == "([^"]*)"$')


def keep(asked: Admission) -> Manifest | None:
    """A mutating hook: keeps pods with claims away from the scheduler of all others."""
    found = asked.object
    if asked.verb == "create" and asked.kind.plural == "pods" and found and found["spec"].get("resourceClaims"):
        found["spec"]["schedulerName"] = _OWN
    return found


class Claims:
    """Allocates claims and places their pods. A subclass does one of these things wrong."""

    kinds = frozenset({("", "pods"), ("resource.k8s.io", "resourceclaims"), LEASES})
    why = "0/1 nodes are available: 1 cannot allocate all claims."

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        for each in world.hand.list("v1", "Pod"):
            waits = each["spec"].get("schedulerName") == _OWN and not each["spec"].get("nodeName")
            if waits and not is_leaving(each):
                self._place(world.hand, each)

    def _place(self, hand: Hand, pod: Manifest) -> None:
        (reference,) = pod["spec"]["resourceClaims"]
        claim = hand.find(DRA, "ResourceClaim", reference["resourceClaimName"], pod["metadata"]["namespace"])
        if claim is None:
            return
        device = next((each for each in CLAIMED if self.fits(hand, claim, each)), None)
        if device is None:
            told = condition("PodScheduled", true=False, reason="Unschedulable", message=self.why)
            hand.set_status(pod, {"conditions": with_conditions(pod, told)})
            return
        result = {"driver": DRIVER, "pool": NODE, "device": device.name, "request": "device"}
        hand.set_status(claim, {"allocation": {"devices": {"results": [result]}}})
        hand.change(pod, lambda live: live["spec"].update(nodeName=NODE))

    def fits(self, hand: Hand, claim: Manifest, device: Device) -> bool:
        """Whether a claim can have a device."""
        held = [BY_NAME[name] for each in hand.list(DRA, "ResourceClaim") for name in allocated(each)]
        return self.selects(claim, device) and self.is_free(device, held)

    def selects(self, claim: Manifest, device: Device) -> bool:
        """Whether a claim asks for such a device."""
        (request,) = claim["spec"]["devices"]["requests"]
        exactly = request["exactly"]
        found = {"uuid": device.uuid}
        for each in exactly.get("selectors") or []:
            match = _SELECTS.match(each["cel"]["expression"])
            assert match, each
            if found.get(match[1]) != match[2]:
                return False
        return bool(exactly["deviceClassName"] == device.of_class)

    def is_free(self, device: Device, held: list[Device]) -> bool:
        """Whether a device has a slot, and its body counters for it."""
        used = sum(each.cost for each in held if each.body and each.body == device.body)
        return held.count(device) < device.slots and (not device.body or used + device.cost <= 2)


def accelerators(
    scene: Scene,
    rack: Rack | None = None,
    claims: Claims | None = None,
    *,
    plugin: int = len(PLUGIN),
    slots: int = SHARED_PLUGIN.slots,
    claimed: tuple[Device, ...] = CLAIMED,
) -> None:
    """A node whose devices a plugin and a DRA driver offer, as they should or as a part that does something wrong."""
    resources = {RESOURCE: plugin, SHARED: slots}
    publish(scene, resources={name: count for name, count in resources.items() if count}, claimed=claimed)
    found = rack or Rack(scene)
    scene.nodes.programs.insert(0, found.run)
    scene.nodes.stopped.append(found.stop)
    scene.cluster.mutate(keep)
    scene.run(found, claims or Claims())
