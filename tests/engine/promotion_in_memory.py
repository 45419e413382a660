"""A service whose traffic can be moved, in memory: it writes down what it was asked, and fails where it is told to."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

from plimsoll.errors import PlimsollError, TargetError
from plimsoll.registry.models import ModelRegistry
from plimsoll.registry.versions import Lineage, ModelVersion
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.features import TRAFFIC, Features, feature_table, offers
from plimsoll.targets.models import model_registry
from plimsoll.targets.port import Target
from plimsoll.telemetry.version_counts import VersionCounts

PER_LOOK = 1000


class MoverInMemory:
    """Each look at its counts finds a thousand more requests, shared by the weights of that moment.

    `failing` is the part of a version's requests that fails. `trouble` is called before each act with its name.
    """

    service = "triage"
    model = "triage"
    where = "service triage in memory"

    def __init__(self, serving: str = "1") -> None:
        self.weights = {serving: 100}
        self.done: list[str] = []
        self.failing: dict[str, float] = {}
        self.trouble: Callable[[str], None] = lambda _: None
        self.cut_off = False
        self.busy = False
        self.formerly: str | None = None
        self._counts: dict[str, VersionCounts] = {}

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[bool]:
        if self.busy:
            raise PlimsollError("another promotion into this service is running")
        self._act("taken")
        try:
            yield self.cut_off
        finally:
            self.done.append("released")

    def leading(self) -> str:
        return max(self.weights, key=lambda version: self.weights[version])

    def former(self) -> str | None:
        return self.formerly

    def add(self, old: str, new: str) -> None:
        self._act("add")
        self.weights = {old: 100, new: 0}

    def weigh(self, old: str, new: str, weight: int) -> None:
        self._act(f"weigh {weight}")
        self.weights = {old: 100 - weight, new: weight}

    def counts(self, versions: tuple[str, str]) -> Mapping[str, VersionCounts]:
        self._act("counts", told=False)
        for version in versions:
            known = self._counts.setdefault(version, VersionCounts(codes={"200": 0, "500": 0}))
            asked = PER_LOOK * self.weights.get(version, 0) / 100
            failed = asked * self.failing.get(version, 0.0)
            codes = {"200": known.codes["200"] + asked - failed, "500": known.codes["500"] + failed}
            self._counts[version] = VersionCounts(codes=codes)
        return {version: self._counts[version] for version in versions}

    def all_counts(self) -> Mapping[str, VersionCounts]:
        return dict(self._counts)

    def settle(self, old: str, new: str) -> None:
        self._act("settle")
        self.weights = {new: 100}
        self.formerly = old

    def restore(self) -> None:
        self._act("restore")
        self.weights = {"1": 100}

    def _act(self, name: str, *, told: bool = True) -> None:
        if told:
            self.done.append(name)
        self.trouble(name)


class Trouble:
    """Raises an error at the so manieth time that an act is asked for."""

    def __init__(self, act: str, error: BaseException | None = None, *, time: int = 1) -> None:
        self._act = act
        self._error = error or TargetError("the cluster does not answer", where="here")
        self._times = itertools.count(1)
        self._time = time

    def __call__(self, name: str) -> None:
        if name == self._act and next(self._times) == self._time:
            raise self._error


class Place:
    """A target of which only the state and the traffic are asked."""

    name = "memory"

    def __init__(self, directory: Path, mover: MoverInMemory) -> None:
        self.state = StateDirectory(directory)
        self.mover = mover
        self.asked: list[tuple[str | None, str | None]] = []

    @property
    def features(self) -> Features:
        return Features(self.name, feature_table(offers(TRAFFIC, self._traffic)), {})

    @property
    def target(self) -> Target:
        return cast("Target", self)

    def _traffic(
        self, model: str | None, service: str | None, say: Callable[[str], None], stopped: Callable[[], bool]
    ) -> MoverInMemory:
        self.asked.append((model, service))
        return self.mover


def register(state: StateDirectory, **settings: object) -> ModelVersion:
    """One more version of the model triage, accepted with an accuracy of 0.9 unless told otherwise."""
    source = state.root / "trained"
    source.mkdir(parents=True, exist_ok=True)
    registry: ModelRegistry = model_registry(state)
    number = len(registry.versions("triage")) + 1
    (source / "model.onnx").write_bytes(b"weights %d" % number)
    lineage = Lineage(run="r1", step="train/triage", key=f"k{number}")
    given: dict[str, object] = {"metrics": {"accuracy": 0.9}, "accept": {"accuracy": ">= 0.5"}, **settings}
    files = {"model.onnx": source / "model.onnx"}
    return registry.add("triage", files, lineage=lineage, **given)  # type: ignore[arg-type]
