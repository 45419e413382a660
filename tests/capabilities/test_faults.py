"""Whatever goes wrong beside the capability while a probe acts: no pass, no accusation, and nothing left behind."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from plimsoll.capabilities import checking
from plimsoll.capabilities.checking import CheckPlan
from plimsoll.capabilities.probe_namespace import LABEL
from plimsoll.capabilities.requirements import PROFILES, profile
from plimsoll.evidence.verdict import Outcome, Verdict
from plimsoll.kubernetes.api import Manifest
from plimsoll.kubernetes.memory import Fault
from plimsoll.kubernetes.memory.controllers.loop import World
from plimsoll.kubernetes.memory.controllers.owning import is_leaving
from plimsoll.kubernetes.memory.requests import Request
from tests.capabilities.clusters.honest import HONEST
from tests.capabilities.clusters.nodes import Pod, State
from tests.capabilities.clusters.scene import Scene, labels_of

pytestmark = pytest.mark.slow

REQUIREMENTS = pytest.mark.parametrize("requirement", HONEST)
_FIRST = 4
NOT_SHOWN = (Outcome.ENVIRONMENT_ERROR, Outcome.UNKNOWN)


class InTheMiddle:
    """Is true of the requests of a probe after its first few, and counts those of which it was."""

    def __init__(self, requirement: str) -> None:
        self._namespace = f"-{requirement.replace('_', '-')}"
        self._asked = 0
        self.hits = 0

    def __call__(self, request: Request) -> bool:
        self._asked += self._namespace in request.path
        found = self._asked > _FIRST and self._namespace in request.path
        self.hits += found
        return found


def check(scene: Scene, requirement: str, *faults: Fault) -> Verdict:
    """The verdict, where it counts that the probe has come to an end and left nothing."""
    facts = scene.facts()
    for each in faults:
        scene.cluster.fail(each)
    verdict = scene.check(requirement, facts)
    scene.cluster.mend()
    assert "a defect of the probe" not in verdict.cause, verdict
    assert scene.left() == []
    return verdict


@REQUIREMENTS
@pytest.mark.parametrize("reset", [False, True], ids=["is out of breath", "breaks connections off"])
def test_an_api_server_that_fails_for_long_is_no_verdict(scene: Scene, requirement: str, reset: bool) -> None:
    HONEST[requirement](scene)
    middle = InTheMiddle(requirement)
    failing = Fault(when=middle, times=18, reset=reset, status=0 if reset else 503, message="the server is busy")
    verdict = check(scene, requirement, failing)
    assert middle.hits >= 18
    assert verdict.outcome in NOT_SHOWN, verdict
    assert scene.events(requirement)[-1] in ("broke-off", "ended")


@REQUIREMENTS
def test_an_api_server_that_fails_now_and_then_changes_no_verdict(scene: Scene, requirement: str) -> None:
    HONEST[requirement](scene)
    asked = 0

    def now_and_then(request: Request) -> bool:
        nonlocal asked
        asked += request.method in ("GET", "PATCH", "DELETE")
        return request.method in ("GET", "PATCH", "DELETE") and asked % 9 == 0

    def slow(pod: Pod) -> State | None:
        """Every pod takes a while to start."""
        pods.setdefault(pod.address, scene.clock.now)
        return State.STARTS if scene.clock.now - pods[pod.address] < 8 else None

    pods: dict[str, float] = {}
    scene.nodes.programs.insert(0, slow)
    verdict = check(scene, requirement, Fault(when=now_and_then, times=500, status=503))
    assert verdict.outcome is Outcome.PASS, verdict


def test_an_api_server_that_fails_while_an_object_is_tried_is_no_refusal(scene: Scene) -> None:
    HONEST["robust_controller"](scene)
    tried = Fault(when=lambda request: request.dry_run, times=500, status=503, message="the server is busy")
    assert check(scene, "robust_controller", tried).outcome in NOT_SHOWN


@REQUIREMENTS
def test_a_namespace_that_somebody_deletes_is_no_verdict(scene: Scene, requirement: str) -> None:
    HONEST[requirement](scene)
    middle = InTheMiddle(requirement)

    def somebody(request: Request) -> bool:
        if middle(request) and middle.hits == 1:
            name = request.path.partition("/namespaces/")[2].partition("/")[0]
            scene.cluster.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            scene.clock.settle()
        return False

    verdict = check(scene, requirement, Fault(when=somebody))
    assert middle.hits
    assert verdict.outcome in NOT_SHOWN, verdict


@REQUIREMENTS
def test_a_right_that_is_missing_in_the_middle_is_named(scene: Scene, requirement: str) -> None:
    HONEST[requirement](scene)
    # Every other probe reads logs.
    verb, resource = ("list", "events") if requirement == "gang_scheduling" else ("get", "pods/log")
    scene.cluster.deny(verb=verb, resource=resource)
    verdict = check(scene, requirement)
    assert verdict.outcome in NOT_SHOWN, verdict
    assert f'cannot {verb} resource "{resource}"' in verdict.cause
    assert "--print-rbac" in verdict.remedy


class Quotas:
    """Gives every new namespace of a probe a quota that has no pod in it."""

    kinds = frozenset({("", "namespaces")})

    def reconcile(self, world: World, found: Manifest, *, gone: bool) -> None:
        name = found["metadata"]["name"]
        of_probe = LABEL in labels_of(found) and not name.endswith("preflight") and not is_leaving(found)
        if of_probe and not gone and world.hand.find("v1", "ResourceQuota", "few", name) is None:
            kind = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few", "namespace": name}}
            world.hand.create({**kind, "spec": {"hard": {"pods": "0"}}})


@REQUIREMENTS
def test_a_quota_in_every_new_namespace_is_no_failure_of_the_capability(scene: Scene, requirement: str) -> None:
    HONEST[requirement](scene)
    scene.run(Quotas())
    verdict = check(scene, requirement)
    assert verdict.outcome in NOT_SHOWN, verdict
    assert "exceeded quota" in verdict.cause


@REQUIREMENTS
def test_an_interrupt_in_the_middle_leaves_nothing_behind(
    scene: Scene, requirement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    HONEST[requirement](scene)
    facts = scene.facts()
    directory = tmp_path / "bundle"
    directory.mkdir()
    main, middle = threading.main_thread().ident or 0, InTheMiddle(requirement)
    interrupted = threading.Event()

    def interrupt(request: Request) -> bool:
        if middle(request) and middle.hits == 1:
            signal.pthread_kill(main, signal.SIGINT)
            assert interrupted.wait(20)
        return False

    scene.cluster.fail(Fault(when=interrupt))
    plan = CheckPlan(profile=next(each for each in PROFILES if requirement in profile(each)), only=(requirement,))
    told: list[tuple[str, str]] = []

    def tell(name: str, what: str) -> None:
        told.append((name, what))
        if name == "check":
            interrupted.set()

    with pytest.raises(KeyboardInterrupt):
        checking.check(scene.api, plan, facts, directory, tell)
    assert ("check", "interrupted: deleting what was created") in told, told
    assert scene.left() == []
    assert not (directory / checking.VERDICTS).exists()
