"""A claim by attribute gets that device and no other: by a scheduler and a driver in memory, right or wrong in one way."""

from __future__ import annotations

import pytest

from plimsoll.evidence.verdict import Outcome, Verdict
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory.controllers.loop import World
from tests.capabilities.clusters.claims import Claims, accelerators
from tests.capabilities.clusters.devices import BY_NAME, CLAIMED, Device, Rack
from tests.capabilities.clusters.scene import Scene

pytestmark = pytest.mark.slow

DRA = "dra_support"


def check(scene: Scene) -> Verdict:
    verdict = scene.check(DRA)
    assert scene.left() == []
    assert scene.cluster.list("resource.k8s.io/v1", "ResourceClaim") == []
    return verdict


def test_a_claim_that_gets_the_device_it_names_passes(scene: Scene) -> None:
    accelerators(scene)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    assert verdict.figure.startswith("gpu-0 by uuid = ACC-b0; it says so itself")


class AnyDevice(Claims):
    """Ignores what a claim selects by."""

    def selects(self, claim: Manifest, device: Device) -> bool:
        return device.of_class == CLAIMED[0].of_class


class OtherDevice(Claims):
    """Gives a device of the class, but not the one that was named."""

    def selects(self, claim: Manifest, device: Device) -> bool:
        return device.name == "gpu-1" and super().selects(claim, BY_NAME["gpu-0"])


class HeldToo(Claims):
    """Gives a device that is held to the next claim as well."""

    def is_free(self, device: Device, held: list[Device]) -> bool:
        return True


class AnythingForTheImpossible(Claims):
    """Gives a claim that no device fits one nevertheless."""

    def selects(self, claim: Manifest, device: Device) -> bool:
        return super().selects(claim, device) or "impossible" in claim["metadata"]["name"]


class OnceOnly(Claims):
    """Does not give a device a second time."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def is_free(self, device: Device, held: list[Device]) -> bool:
        self._given |= {each.name for each in held}
        return device.name not in self._given


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        (AnyDevice, "was given another device"),
        (OtherDevice, "was given another device"),
        (HeldToo, "a device that was held was given to another claim too"),
        (AnythingForTheImpossible, "a claim that no device fits was given one"),
        (OnceOnly, "the next claim was not given the device when it was free"),
    ],
)
def test_a_scheduler_that_gives_devices_to_the_wrong_claims_fails(
    scene: Scene, claims: type[Claims], cause: str
) -> None:
    accelerators(scene, claims=claims())
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert cause in verdict.cause


class Swapped(Rack):
    def given_for(self, device: Device) -> Device:
        return BY_NAME["gpu-1"]


class PlainFile(Rack):
    def kind_of_file(self) -> str:
        return "regular file"


@pytest.mark.parametrize(
    ("rack", "cause"),
    [(Swapped, "the container was given another"), (PlainFile, "the container has a file that is no device")],
)
def test_a_driver_that_puts_something_else_into_the_container_fails(scene: Scene, rack: type[Rack], cause: str) -> None:
    accelerators(scene, rack(scene))
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert cause in verdict.cause


def test_a_driver_that_carries_no_claim_out_fails(scene: Scene) -> None:
    class Allocates(Claims):
        def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
            """Does nothing at all, and says nothing."""

    accelerators(scene, claims=Allocates())
    verdict = check(scene)
    assert (verdict.outcome, "was not carried out" in verdict.cause) == (Outcome.FAIL, True)


def test_claims_that_wait_without_a_word_of_the_scheduler_show_nothing(scene: Scene) -> None:
    class Silent(Claims):
        why = ""

    accelerators(scene, claims=Silent())
    verdict = check(scene)
    assert (verdict.outcome, "no scheduler reported why" in verdict.cause) == (Outcome.UNKNOWN, True)


def test_a_device_that_somebody_else_holds_is_no_failure_of_the_driver(scene: Scene) -> None:
    class Taken(Claims):
        def is_free(self, device: Device, held: list[Device]) -> bool:
            return False

    accelerators(scene, claims=Taken())
    verdict = check(scene)
    assert (verdict.outcome, verdict.remedy) == (Outcome.ENVIRONMENT_ERROR, "free it")
