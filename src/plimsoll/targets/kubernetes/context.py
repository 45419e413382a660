"""What all attempts of a run on a cluster share, and one of those attempts."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from plimsoll.evidence.observation import Observation, observed
from plimsoll.kubernetes.api import Api
from plimsoll.kubernetes.cluster import Cluster
from plimsoll.planning.steps import Step
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.kubernetes import names
from plimsoll.targets.kubernetes.images import Images
from plimsoll.targets.kubernetes.results import Results
from plimsoll.targets.local.attempt import Outcome
from plimsoll.targets.local.target import LocalTarget

SOURCE = "kubernetes"
Progress = Generator[Observation, None, Outcome]


class Context(Struct, frozen=True, kw_only=True):
    """`local` does on this machine what needs the user's own key; `chosen` is the provider of each need."""

    api: Api
    cluster: Cluster
    application: str
    directory: Path
    state: StateDirectory
    local: LocalTarget
    results: Results
    images: Images
    run: str
    logs: Path
    chosen: Mapping[str, str]

    @property
    def namespace(self) -> str:
        """Where everything is made."""
        return self.cluster.namespace


class Attempt:
    """One attempt at one step. `stopping` is set when it must end."""

    def __init__(self, step: Step, number: int, context: Context) -> None:
        self.step = step
        self.number = number
        self.context = context
        self.stopping = threading.Event()

    @property
    def name(self) -> str:
        """The name of its workload."""
        return names.workload(self.context.application, self.step)

    @property
    def labels(self) -> dict[str, str]:
        """What its objects carry."""
        return names.of_step(self.context.application, self.step)

    def log(self, process: str | int) -> Path:
        """The file that a pod's output is written to."""
        path = self.context.logs / self.step.verb / self.step.part / f"{self.number}-{process}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def seen(self, event: str, **values: Any) -> Observation:
        """An observation of this attempt."""
        return observed(SOURCE, self.step.name, event, attempt=self.number, **values)
