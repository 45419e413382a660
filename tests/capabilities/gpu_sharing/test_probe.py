"""Several pods share one device, and no more of them than it has places: right, or wrong in one way."""

from __future__ import annotations

import pytest

from plimsoll.evidence.verdict import Outcome, Verdict
from tests.capabilities.clusters.claims import Claims, accelerators
from tests.capabilities.clusters.devices import CLAIMED, PLUGIN, SHARED_PLUGIN, Device, Rack
from tests.capabilities.clusters.nodes import Pod
from tests.capabilities.clusters.scene import Scene

pytestmark = pytest.mark.slow

SHARING = "gpu_sharing"
PLAIN = CLAIMED[:2]


def check(scene: Scene) -> Verdict:
    verdict = scene.check(SHARING)
    assert scene.left() == []
    return verdict


def test_a_device_with_three_places_has_three_pods_and_passes(scene: Scene) -> None:
    accelerators(scene)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    assert "plimsoll.dev/accelerator-shared: 3 pods on one device, 3 in all" in verdict.figure
    assert "shared.accelerator.plimsoll.dev: 3 pods on one device, 3 in all" in verdict.figure


class OneEach(Rack):
    """Calls devices shared that are not."""

    def slice_of(self, pod: Pod) -> Device:
        taken = {device for held in self._held.values() for device in held}
        return next(each for each in (*PLUGIN, *CLAIMED) if each not in taken)


class PlainFile(Rack):
    def kind_of_file(self) -> str:
        return "regular file"


@pytest.mark.parametrize(
    ("rack", "cause"),
    [(OneEach, "no two pods hold the same device"), (PlainFile, "the container has a file that is no device")],
)
def test_pods_that_do_not_share_one_device_fail(scene: Scene, rack: type[Rack], cause: str) -> None:
    accelerators(scene, rack(scene), claimed=PLAIN)
    verdict = check(scene)
    assert verdict.outcome is Outcome.FAIL, verdict
    assert cause in verdict.cause


def test_a_device_that_is_given_to_more_pods_than_it_may_have_fails(scene: Scene) -> None:
    accelerators(scene, slots=50, claimed=PLAIN)
    verdict = check(scene)
    assert (verdict.outcome, "sharing has no limit" in verdict.cause) == (Outcome.FAIL, True)


def test_a_class_of_shared_devices_that_one_claim_has_to_itself_fails(scene: Scene) -> None:
    class Alone(Claims):
        def is_free(self, device: Device, held: list[Device]) -> bool:
            return device not in held

    accelerators(scene, claims=Alone(), slots=0)
    verdict = check(scene)
    assert (verdict.outcome, "a second pod did not get a part" in verdict.cause) == (Outcome.FAIL, True)


def test_a_place_that_is_never_free_again_fails(scene: Scene) -> None:
    class OnceOnly(Claims):
        def __init__(self) -> None:
            self._most = 0

        def is_free(self, device: Device, held: list[Device]) -> bool:
            self._most = max(self._most, len(held))
            return self._most < device.slots and super().is_free(device, held)

    accelerators(scene, claims=OnceOnly(), slots=0)
    verdict = check(scene)
    assert (verdict.outcome, "no waiting pod got a place" in verdict.cause) == (Outcome.FAIL, True)


def test_one_mode_that_works_is_enough(scene: Scene) -> None:
    accelerators(scene, OneEach(scene))
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS
    assert SHARED_PLUGIN.name not in verdict.figure
    assert verdict.figure.startswith("shared.accelerator.plimsoll.dev")
