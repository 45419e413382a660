"""A cluster in memory with nodes, a network and a clock, and a check of one requirement in it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from plimsoll.capabilities import inventory
from plimsoll.capabilities.access import ADVICE
from plimsoll.capabilities.check_settings import CheckSettings
from plimsoll.capabilities.facts import ClusterFacts, cluster_facts
from plimsoll.capabilities.inventory import take_inventory
from plimsoll.capabilities.probe import all_probes, judge, probe_of
from plimsoll.capabilities.probe_namespace import LABEL
from plimsoll.capabilities.probe_runner import ProbeRunner
from plimsoll.capabilities.records import CheckRecord, observation_of
from plimsoll.evidence.journal import read_journal
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Verdict
from plimsoll.kubernetes.api import Api, Manifest
from plimsoll.kubernetes.memory import MemoryCluster
from plimsoll.kubernetes.memory.admission import Admission
from plimsoll.kubernetes.memory.controllers import Controller, Deployments, Jobs, PodScheduler
from plimsoll.kubernetes.memory.kinds import ADDONS
from tests.capabilities.clusters.clock import Clock
from tests.capabilities.clusters.network import Network
from tests.capabilities.clusters.nodes import Nodes

RUN = "run-1"
_CLOCKED = ("probe_namespace", "probe_runner", "check_settings", "checking")


class Scene:
    """What a test puts on the stage before it has a probe look at it."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.cluster = MemoryCluster(directory=directory)
        monkeypatch.setenv("KUBECONFIG", str(self.cluster.kubeconfig))
        self.clock = Clock(self.cluster)
        self.network = Network()
        self.nodes = Nodes(self.cluster, self.network, self.clock)
        self.cluster.run(PodScheduler(), self.nodes, Jobs(), Deployments())
        for name in _CLOCKED:
            monkeypatch.setattr(f"plimsoll.capabilities.{name}.time", self.clock)
        monkeypatch.setattr("plimsoll.kubernetes.api.time", self.clock)
        self.api = Api(self.cluster.context)
        self.api.advice = ADVICE
        self.settings = CheckSettings(run=RUN)
        self.told: list[tuple[str, str]] = []
        self.created: list[Manifest] = []
        self.cluster.validate(self._note)

    def _note(self, asked: Admission) -> None:
        """Write down what is created over HTTP."""
        if asked.verb == "create" and not asked.dry_run and not asked.user.name.startswith("system:") and asked.object:
            self.created.append(asked.object)

    def serve(self, *addons: str) -> None:
        """Serve the kinds of add-ons."""
        for name in addons:
            for each in ADDONS[name]:
                self.cluster.serve(each.api_version, each.kind, each.plural, namespaced=each.namespaced)

    def run(self, *controllers: Controller) -> None:
        """Switch controllers on."""
        self.cluster.run(*controllers)

    def facts(self) -> ClusterFacts:
        """The facts of an inventory that is taken now."""
        self.clock.settle()
        found: list[Observation] = []
        lock = threading.Lock()

        def write(records: Sequence[CheckRecord]) -> None:
            with lock:
                found.extend(observation_of(inventory.SUBJECT, each) for each in records)

        take_inventory(self.api, write)
        return cluster_facts(found)

    def runner(self, facts: ClusterFacts) -> ProbeRunner:
        """What runs probes in this cluster, and writes down what it tells."""
        return ProbeRunner(
            self.api, self.settings, facts, self.directory, lambda name, what: self.told.append((name, what))
        )

    def check(self, requirement: str, facts: ClusterFacts | None = None) -> Verdict:
        """The verdict of a probe that is run here."""
        probe = probe_of(requirement)
        self.runner(facts or self.facts()).run(probe, self.path(requirement))
        return judge(requirement, self.record(requirement))

    def path(self, requirement: str) -> Path:
        """The file of a probe's record."""
        return self.directory / f"{requirement}.jsonl"

    def record(self, requirement: str) -> tuple[Observation, ...]:
        """What a probe has recorded."""
        return tuple(read_journal(self.path(requirement)))

    def events(self, requirement: str) -> list[str]:
        """The events of a probe's record."""
        return [each.event for each in self.record(requirement)]

    def left(self) -> list[str]:
        """What is left of checks, as kind/name, when everybody had the time to remove it."""
        self.clock.settle()
        outside = {(each.api_version, each.kind) for probe in all_probes() for each in probe.cluster_kinds}
        places = [("v1", "Namespace"), *sorted(place for place in outside if self.api.serves(*place))]
        return [
            f"{kind}/{each['metadata']['name']}"
            for api_version, kind in places
            for each in self.cluster.list(api_version, kind)
            if LABEL in each["metadata"].get("labels", {})
        ]


def labels_of(manifest: Manifest) -> dict[str, str]:
    """The labels of an object."""
    return dict(manifest["metadata"].get("labels") or {})
