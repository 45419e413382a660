"""Every probe on a cluster in memory: what it writes is read by its judge, and it uses no right that it does not name."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
import pytest

from plimsoll.capabilities import inventory, probe_namespace
from plimsoll.capabilities.check_settings import CheckSettings
from plimsoll.capabilities.facts import ClusterFacts, cluster_facts
from plimsoll.capabilities.probe import Probe, all_probes, judge
from plimsoll.capabilities.probe_namespace import LABEL, ProbeNamespace
from plimsoll.capabilities.records import (
    Applied,
    CheckRecord,
    CommonRecord,
    NamespaceCreated,
    ProbeEnded,
    observation_of,
    tags,
)
from plimsoll.evidence.observation import Observation, observed
from tests.capabilities.cluster_in_memory import ClusterInMemory
from tests.capabilities.recorded import recorded

OBSERVING = [each for each in all_probes() if each.records != CommonRecord]
PROBES = pytest.mark.parametrize("probe", OBSERVING, ids=lambda probe: probe.requirement)


@pytest.fixture
def facts() -> ClusterFacts:
    # The accelerators of a device plugin and of DRA are on one node of the lab; a shared resource and a sandbox are not.
    sandbox = observed("check", "inventory", "runtime-class", name="gvisor", handler="runsc")
    return cluster_facts((*recorded("inventory"), sandbox))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Time passes only when a probe sleeps or looks at the clock."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def monotonic() -> float:
        now[0] += 1.0
        return now[0]

    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", sleep)
        patched.setattr(time, "monotonic", monotonic)
        yield


def observe(probe: Probe, facts: ClusterFacts, api: ClusterInMemory) -> list[CheckRecord]:
    written: list[CheckRecord] = []
    ns = ProbeNamespace(api, probe.requirement, CheckSettings(run="run-1"), written.append)
    probe.observe(ns, facts)
    ns.note(ProbeEnded())
    ns.remove()
    return written


@PROBES
def test_what_a_probe_writes_is_read_by_its_judge(probe: Probe, facts: ClusterFacts) -> None:
    written = observe(probe, facts, ClusterInMemory())
    kinds = tags(probe.records)
    stored = [msgspec.json.encode(observation_of(probe.requirement, each)) for each in written]
    read = [msgspec.json.decode(each, type=Observation) for each in stored]
    for record, observation in zip(written, read, strict=True):
        if not isinstance(record, Applied):
            # A manifest loses what looks like a credential when it is stored.
            assert msgspec.convert(observation.fact, kinds[observation.event]) == record
    assert {type(each) for each in written} - set(tags(CommonRecord).values()), "it has written more than waits"
    assert "does not hold what a verdict needs" not in judge(probe.requirement, read).cause


@PROBES
def test_a_probe_uses_no_right_that_it_does_not_name(probe: Probe, facts: ClusterFacts) -> None:
    api = ClusterInMemory()
    observe(probe, facts, api)
    rights = (*inventory.RIGHTS, *probe_namespace.RIGHTS, *probe.rights)
    named = {(each.group, resource, verb) for each in rights for resource in each.resources for verb in each.verbs}
    assert api.used <= named, sorted(api.used - named)


@PROBES
def test_everything_that_a_probe_creates_has_the_label_and_is_recorded_and_removed(
    probe: Probe, facts: ClusterFacts
) -> None:
    api = ClusterInMemory()
    written = observe(probe, facts, api)
    recorded_names = [(each.kind, each.name) for each in written if isinstance(each, Applied)]
    (namespace,) = [each.name for each in written if isinstance(each, NamespaceCreated)]
    created = [(each["kind"], each["metadata"]["name"]) for each in api.applied]
    assert created == [("Namespace", namespace), *recorded_names]
    assert {each["metadata"]["labels"][LABEL] for each in api.applied} == {"run-1"}
    outside = {each["kind"] for each in api.applied if "namespace" not in each["metadata"]} - {"Namespace"}
    assert outside == {each.kind for each in probe.cluster_kinds}
    assert not [
        kind for kind, name in api.objects if kind in {"Namespace", "Pod", *outside} and (kind, name) in created
    ]
