"""What all attempts of a run on a cluster share, and one of those attempts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.planning.steps import Step
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.attempt import STOPPED, Attempt, AttemptOutcome, Progress, W
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.images import Images
from plimsoll.targets.kubernetes.own_objects import OwnObjects
from plimsoll.targets.kubernetes.results import RegistryResults
from plimsoll.targets.kubernetes.run_lease import RunLease
from plimsoll.targets.local.session import LocalSession


class ClusterContext(Struct, frozen=True, kw_only=True):
    """`local` does on this machine what needs the user's own key; `chosen` is the provider of each need.

    `lease` says whose run goes on: this one, or another of the same content that it watches. `forced` are the names of
    steps that are carried out again although they have results.
    """

    api: Api
    cluster: Cluster
    application: str
    directory: Path
    state: StateDirectory
    local: LocalSession
    results: RegistryResults
    images: Images
    run: str
    chosen: Mapping[str, str]
    lease: RunLease
    forced: frozenset[str] = frozenset()

    @property
    def namespace(self) -> str:
        """Where everything is made."""
        return self.cluster.namespace

    @property
    def own(self) -> OwnObjects:
        """The application's objects, by which alone the cluster is written to. Raises PlimsollError for a run that
        another has taken over from.
        """
        self.lease.require()
        return OwnObjects(self.api, self.application, self.namespace)


class ClusterAttempt(Attempt[W]):
    """One attempt at one step on a cluster. One that `only_watches` is about a workload of somebody else's run."""

    source = "kubernetes"
    only_watches = False

    def __init__(
        self,
        step: Step[W],
        number: int,
        context: ClusterContext,
        execute: Callable[[ClusterAttempt[W]], Progress],
    ) -> None:
        super().__init__(step, number)
        self.context = context
        self._execute = execute

    @property
    def name(self) -> str:
        """The name of its workload."""
        return names.workload(self.context.application, self.step)

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its objects."""
        return names.of_step(self.context.application, self.step)

    @property
    def pods(self) -> str:
        """The selector of its pods. In a namespace of several applications a step may have the same key in each."""
        labels = self.labels
        return names.selector({key: labels[key] for key in (names.APPLICATION, names.KEY)})

    @property
    def may_end(self) -> bool:
        """Whether its workload is this run's to end, at this moment."""
        return not self.only_watches and self.context.lease.holds()

    @property
    def where(self) -> str:
        """What the run keeps on this machine."""
        return str(self.context.state.root)

    def log(self, process: str | int) -> Path:
        """The file that a pod's output is written to."""
        return self.context.state.log(self.context.run, self.step.name, self.number, process)

    def watching(self, stopping: threading.Event) -> ClusterAttempt[W]:
        """The same attempt as a mere look at what another run does, until it is stopped by itself."""
        made = ClusterAttempt(self.step, self.number, self.context, self._execute)
        made.only_watches = True
        made.stopping = stopping
        return made

    def part(self, step: Step[W]) -> ClusterAttempt[W]:
        """An attempt at a piece of this one's work, with a key of its own; both are stopped together."""
        made = ClusterAttempt(step, self.number, self.context, self._execute)
        made.stopping = self.stopping
        return made

    def perform(self) -> Progress:
        """Do the work."""
        return self._execute(self)

    def keep(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """Results of pods are in the registry already: only an attempt that is done counts when it was stopped."""
        return STOPPED if self.stopped and outcome.state != "done" else outcome
