"""Whatever happens in a probe, its record says so, its namespace goes, and the others are not disturbed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from plimsoll.capabilities import checking
from plimsoll.capabilities.check_settings import CheckSettings, Obstructed
from plimsoll.capabilities.facts import ClusterFacts, cluster_facts
from plimsoll.capabilities.probe import Probe, judge, probe_of
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.errors import TargetError
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.verdict import Outcome, Verdict
from tests.capabilities.clusters.nodes import State
from tests.capabilities.clusters.scene import Scene
from tests.capabilities.recorded import recorded

GANG, ACCESS, SHARED = "gang_scheduling", "secure_accelerator_access", "gpu_sharing"
Observe = Callable[[ProbeNamespace, ClusterFacts], None]


def that(name: str, observe: Observe) -> Probe:
    """The probe of a requirement, which has no obstacle and observes something else."""
    return msgspec.structs.replace(probe_of(name), observe=observe, obstacle=lambda facts: None)


class Runs:
    """Runs probes in a cluster in memory with one node, whose inventory is that of the lab."""

    def __init__(self, scene: Scene, settings: CheckSettings | None = None) -> None:
        self.scene = scene
        scene.settings = settings or scene.settings
        scene.cluster.add_node("node-1")
        self.told = scene.told
        self.directory = scene.directory
        self.runner = scene.runner(cluster_facts(recorded("inventory")))

    def __call__(self, probe: Probe) -> Verdict:
        path = self.directory / f"{probe.requirement}.jsonl"
        self.runner.run(probe, path)
        return judge(probe.requirement, tuple(read_journal(path)))

    def events(self, name: str) -> list[str]:
        return [each.event for each in read_journal(self.directory / f"{name}.jsonl")]

    def namespaces(self) -> list[str]:
        return self.scene.left()

    @property
    def created(self) -> list[str]:
        return [each["kind"] for each in self.scene.created]


@pytest.fixture
def runs(scene: Scene) -> Runs:
    return Runs(scene)


def test_a_defect_of_a_probe_is_its_own_environment_error(runs: Runs) -> None:
    def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
        ns.create()
        raise ZeroDivisionError("what a probe should not do")

    verdict = runs(that(GANG, observe))
    assert verdict.outcome is Outcome.ENVIRONMENT_ERROR
    assert verdict.cause == "a defect of the probe: ZeroDivisionError('what a probe should not do')"
    assert verdict.remedy == "please report it"
    assert runs.namespaces() == []
    assert runs.told[-1] == (GANG, f"environment-error: {verdict.cause}")


def test_what_is_in_the_way_is_the_cause_and_its_hint_the_remedy(runs: Runs) -> None:
    def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
        raise Obstructed("a quota is exhausted", hint="raise it")

    verdict = runs(that(GANG, observe))
    assert (verdict.outcome, verdict.cause, verdict.remedy) == (
        Outcome.ENVIRONMENT_ERROR,
        "a quota is exhausted",
        "raise it",
    )


def test_a_check_that_has_no_time_left_runs_no_probe(scene: Scene) -> None:
    runs = Runs(scene, CheckSettings(run="run-1", deadline=0.0))
    verdict = runs(that(GANG, lambda ns, facts: pytest.fail("it ran")))
    assert verdict.outcome is Outcome.ENVIRONMENT_ERROR
    assert verdict.cause == "the check reached its time limit while it waited for its turn"
    assert verdict.remedy == "allow more time with --timeout"
    assert runs.created == []


def test_a_cluster_in_which_no_pod_ends_is_found_once_and_no_probe_is_run(
    runs: Runs,
) -> None:
    runs.scene.nodes.programs.insert(0, lambda pod: State.STARTS)
    for name in (GANG, SHARED):
        verdict = runs(that(name, lambda ns, facts: pytest.fail("it ran")))
        assert (verdict.outcome, verdict.cause) == (Outcome.ENVIRONMENT_ERROR, "a pod that does nothing did not end")
        assert runs.events(name) == ["broke-off"]
    assert runs.created == ["Namespace", "Pod"], "one preflight for all"
    assert runs.namespaces() == []


def test_a_failure_is_accompanied_by_the_pace_of_the_cluster(runs: Runs) -> None:
    failing = [each for each in recorded(GANG) if each.event not in ("ended", "pace")]
    kinds = probe_of(GANG).records

    def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
        ns.create()
        for each in failing:
            fact = {**each.fact, "all": False} if each.fact.get("case") == "fits" else dict(each.fact)
            ns.note(msgspec.convert(fact, kinds))

    assert runs(that(GANG, observe)).outcome is Outcome.FAIL
    assert runs.events(GANG)[-1] == "pace"
    assert "ended" in runs.events(GANG)


def test_a_verdict_from_the_inventory_creates_nothing(runs: Runs) -> None:
    probe = probe_of("disaggregated_inference")
    assert runs(probe).outcome is Outcome.UNKNOWN
    assert runs.events(probe.requirement) == ["decided"]
    assert runs.created == []


def test_probes_that_hold_accelerators_never_run_at_the_same_time(runs: Runs) -> None:
    running = threading.Semaphore(1)
    overlaps: list[str] = []

    def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
        if not running.acquire(blocking=False):
            overlaps.append(ns.name)
            return
        runs.scene.clock.sleep(1)
        running.release()

    threads = [threading.Thread(target=runs, args=(that(name, observe),)) for name in (ACCESS, SHARED)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(timeout=30)
    assert overlaps == []
    assert {runs.events(name)[-1] for name in (ACCESS, SHARED)} == {"ended"}


def test_a_check_whose_bundle_could_not_be_signed_runs_nothing(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("in the way")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    facts = cluster_facts(recorded("inventory"))
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    with pytest.raises(TargetError, match="the signing key cannot be used"):
        checking.check(scene.api, checking.CheckPlan(profile="cncf-1.37"), facts, bundle, lambda *_: None)
    assert list(bundle.iterdir()) == []
