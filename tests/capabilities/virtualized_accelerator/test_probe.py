"""Parts of a device are devices of their own, and exclude the whole: right, or wrong in one way."""

from __future__ import annotations

import pytest

from plimsoll.evidence.verdict import Outcome, Verdict
from tests.capabilities.clusters.claims import Claims, accelerators
from tests.capabilities.clusters.devices import BY_NAME, CLAIMED, Device, Rack
from tests.capabilities.clusters.scene import Scene

pytestmark = pytest.mark.slow

PARTS = "virtualized_accelerator"


def check(scene: Scene) -> Verdict:
    verdict = scene.check(PARTS)
    assert scene.left() == []
    return verdict


def test_two_parts_that_exclude_the_whole_device_pass(scene: Scene) -> None:
    accelerators(scene)
    verdict = check(scene)
    assert verdict.outcome is Outcome.PASS, verdict
    assert verdict.figure.startswith("half-0, half-1 by half.accelerator.plimsoll.dev")


def test_a_cluster_that_declares_no_parts_is_not_asked_for_them(scene: Scene) -> None:
    accelerators(scene, claimed=CLAIMED[:2])
    assert check(scene).outcome is Outcome.NOT_APPLICABLE
    assert scene.events(PARTS) == ["decided"]


class OnePartForBoth(Rack):
    def given_for(self, device: Device) -> Device:
        return BY_NAME["half-0"] if device.name.startswith("half") else device


class OneDeviceUnderTwoNumbers(Rack):
    def reads_block(self, device: Device) -> str:
        return BY_NAME["half-0"].digest


@pytest.mark.parametrize("rack", [OnePartForBoth, OneDeviceUnderTwoNumbers])
def test_parts_that_lead_to_one_device_fail(scene: Scene, rack: type[Rack]) -> None:
    accelerators(scene, rack(scene))
    verdict = check(scene)
    assert (verdict.outcome, verdict.cause) == (Outcome.FAIL, "two parts lead to the same device")


class NoCounters(Claims):
    def is_free(self, device: Device, held: list[Device]) -> bool:
        return device not in held


class NeverWhole(Claims):
    def is_free(self, device: Device, held: list[Device]) -> bool:
        return device.name != "whole-0" and super().is_free(device, held)


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        (NoCounters, "the whole device was allocated while its parts were held"),
        (NeverWhole, "the whole device was not allocated when its parts were free"),
    ],
)
def test_a_whole_device_that_does_not_wait_for_its_parts_fails(scene: Scene, claims: type[Claims], cause: str) -> None:
    accelerators(scene, claims=claims())
    verdict = check(scene)
    assert (verdict.outcome, verdict.cause) == (Outcome.FAIL, cause)


def test_parts_that_are_all_held_are_no_failure(scene: Scene) -> None:
    class Full(Claims):
        def is_free(self, device: Device, held: list[Device]) -> bool:
            return False

    accelerators(scene, claims=Full())
    assert check(scene).outcome is Outcome.ENVIRONMENT_ERROR
