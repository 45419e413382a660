"""Every probe on a cluster in memory: what it writes is read by its judge, and it uses no right that it does not name."""

from __future__ import annotations

import msgspec
import pytest

from plimsoll.capabilities import inventory, probe_namespace
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
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome
from plimsoll.kubernetes.api import Api
from tests.capabilities.clusters.honest import HONEST
from tests.capabilities.clusters.scene import RUN, Scene, labels_of

pytestmark = pytest.mark.slow

OBSERVING = [each for each in all_probes() if each.records != CommonRecord]
PROBES = pytest.mark.parametrize("probe", OBSERVING, ids=lambda probe: probe.requirement)
USER = "checker"


def observe(scene: Scene, probe: Probe, api: Api) -> list[CheckRecord]:
    written: list[CheckRecord] = []
    ns = ProbeNamespace(api, probe.requirement, scene.settings, written.append)
    facts = scene.facts()
    scene.created.clear()
    probe.observe(ns, facts)
    ns.note(ProbeEnded())
    ns.remove()
    return written


def test_every_probe_that_acts_has_a_cluster_in_memory_that_carries_its_capability() -> None:
    assert {each.requirement for each in OBSERVING} == set(HONEST)


@PROBES
def test_what_a_probe_writes_is_read_by_its_judge(scene: Scene, probe: Probe) -> None:
    HONEST[probe.requirement](scene)
    written = observe(scene, probe, scene.api)
    kinds = tags(probe.records)
    stored = [msgspec.json.encode(observation_of(probe.requirement, each)) for each in written]
    read = [msgspec.json.decode(each, type=Observation) for each in stored]
    for record, observation in zip(written, read, strict=True):
        if not isinstance(record, Applied):
            # A manifest loses what looks like a credential when it is stored.
            assert msgspec.convert(observation.fact, kinds[observation.event]) == record
    assert {type(each) for each in written} - set(tags(CommonRecord).values()), "it has written more than waits"
    verdict = judge(probe.requirement, read)
    assert "does not hold what a verdict needs" not in verdict.cause
    assert verdict.outcome is Outcome.PASS, verdict


@PROBES
def test_a_probe_uses_no_right_that_it_does_not_name(scene: Scene, probe: Probe) -> None:
    rbac = "rbac.authorization.k8s.io"
    rights = (*inventory.RIGHTS, *probe_namespace.RIGHTS, *probe.rights)
    rules = [
        {"apiGroups": [each.group], "resources": list(each.resources), "verbs": list(each.verbs)} for each in rights
    ]
    role = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": USER}, "rules": rules}
    subject = {"kind": "User", "name": USER, "apiGroup": rbac}
    reference = {"apiGroup": rbac, "kind": "ClusterRole", "name": USER}
    binding = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": USER}}
    scene.cluster.put(role)
    scene.cluster.put({**binding, "subjects": [subject], "roleRef": reference})
    HONEST[probe.requirement](scene)
    api = Api(scene.cluster.user(USER))
    written = observe(scene, probe, api)
    api.close()
    refused = {(each.method, each.path) for each in scene.cluster.seen() if (each.user, each.code) == (USER, 403)}
    assert refused <= _dry_runs(written), refused
    stored = [observation_of(probe.requirement, each) for each in written]
    assert judge(probe.requirement, stored).outcome is Outcome.PASS


def _dry_runs(written: list[CheckRecord]) -> set[tuple[str, str]]:
    """Where webhooks refuse what a probe tries: those are no missing rights."""
    (namespace,) = [each.name for each in written if isinstance(each, NamespaceCreated)]
    return {("POST", f"/apis/jobset.x-k8s.io/v1alpha2/namespaces/{namespace}/jobsets")}


@PROBES
def test_everything_that_a_probe_creates_has_the_label_and_is_recorded_and_removed(scene: Scene, probe: Probe) -> None:
    HONEST[probe.requirement](scene)
    written = observe(scene, probe, scene.api)
    recorded_names = {(each.kind, each.name) for each in written if isinstance(each, Applied)}
    (namespace,) = [each.name for each in written if isinstance(each, NamespaceCreated)]
    created = [(each["kind"], each["metadata"]["name"]) for each in scene.created]
    assert created[0] == ("Namespace", namespace)
    assert set(created[1:]) == recorded_names
    assert {labels_of(each)[LABEL] for each in scene.created} == {RUN}
    outside = {each["kind"] for each in scene.created if "namespace" not in each["metadata"]} - {"Namespace"}
    assert outside == {each.kind for each in probe.cluster_kinds}
    assert scene.left() == []
