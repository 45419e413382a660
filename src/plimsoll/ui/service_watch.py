"""Watches the services of a place while a page is open: shares, latencies, drift and labels over time."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from plimsoll.errors import PlimsollError
from plimsoll.targets.features import TRAFFIC
from plimsoll.targets.port import Target
from plimsoll.telemetry.drift.state import DriftState

if TYPE_CHECKING:
    from plimsoll.telemetry.version_counts import VersionCounts

SAMPLES = 720
"""Samples of a service that are kept: an hour at one in five seconds."""
FEATURES = 12
"""Features of a sample: those that are farthest from training."""


class VersionSample(Struct, frozen=True, kw_only=True):
    """One version between two looks: requests a second, failed ones, latencies in seconds, labels and drift."""

    rate: float = 0.0
    failed: float = 0.0
    p50: float | None = None
    p99: float | None = None
    labels: float = 0.0
    accuracy: float | None = None
    distances: Mapping[str, float] = {}


class Sample(Struct, frozen=True, kw_only=True):
    """A service at one time, by version."""

    at: float
    versions: Mapping[str, VersionSample]


class WatchedService(Struct, kw_only=True):
    """What is known of a service. `shares` are of the newest requests, `buckets` of all since its servers began."""

    name: str
    url: str = ""
    model: str = ""
    leading: str = ""
    former: str = ""
    problem: str = ""
    notes: Sequence[str] = ()
    drift: Sequence[DriftState] = ()
    codes: dict[str, dict[str, float]] = field(default_factory=dict)
    buckets: dict[str, dict[str, float]] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    last: dict[str, VersionCounts] = field(default_factory=dict)
    looked: float = 0.0


class ServiceWatch:
    """The services of one target, as of the last look. `look` is called by one thread alone."""

    def __init__(self, make: Callable[[], Target], clock: Callable[[], float] = time.time) -> None:
        self.services: dict[str, WatchedService] = {}
        self.problem = ""
        """Why the target cannot be asked; empty when it can."""
        self.waits: Sequence[str] = ()
        self.run_note = ""
        self.has_looked = False
        self._make = make
        self._clock = clock

    def look(self) -> None:
        """Ask the target and its services once. What cannot be asked is told in the place of its answer."""
        try:
            with contextlib.closing(self._make()) as target:
                self._look(target)
            self.problem = ""
        except (PlimsollError, OSError) as error:
            self.problem = _said(error)
        self.has_looked = True

    def page(self) -> dict[str, object]:
        """All services, without their samples."""
        services = [_page(each) for each in list(self.services.values())]
        told = {"problem": self.problem, "waits": list(self.waits), "run_note": self.run_note}
        return {"services": services, "looked": self.has_looked, **told}

    def service_page(self, name: str) -> dict[str, object]:
        """One service with its samples, empty before the first look. Raises PlimsollError when it is not running."""
        found = self.services.get(name)
        if found is None and not self.has_looked:
            found = WatchedService(name=name)
        if found is None:
            hint = f"running now: {', '.join(self.services) or 'none'}"
            raise PlimsollError(f"no service '{name}' is running", hint=hint)
        return {**_page(found), "samples": msgspec.to_builtins(list(found.samples))}

    def _look(self, target: Target) -> None:
        up, lost = target.services(), target.problems()
        self.waits, self.run_note = target.waits(), target.run_note()
        for name, url in up.items():
            watched = self.services.setdefault(name, WatchedService(name=name))
            watched.url, watched.problem = url, ""
            watched.notes, watched.drift = target.service_notes(name), target.drift(name)
            try:
                self._count(target, watched)
            except (PlimsollError, OSError) as error:
                watched.problem = _said(error)
        for name, reason in lost.items():
            self.services.setdefault(name, WatchedService(name=name)).problem = reason
        for name in self.services.keys() - up.keys() - lost.keys():
            del self.services[name]

    def _count(self, target: Target, watched: WatchedService) -> None:
        """Read the counters of the versions that serve."""
        if TRAFFIC not in target.features:
            return
        mover = target.features.require(TRAFFIC)(None, watched.name, lambda _: None, lambda: False)
        watched.model, watched.leading, watched.former = mover.model, mover.leading(), mover.former() or ""
        now = self._clock()
        counts = {version: each for version, each in mover.all_counts().items() if each.loaded or each.codes}
        if watched.last:
            passed = max(now - watched.looked, 1e-3)
            versions = {version: _between(watched.last.get(version), each, passed) for version, each in counts.items()}
            watched.samples.append(Sample(at=now, versions=versions))
        watched.last, watched.looked = counts, now
        watched.codes = {version: dict(each.codes) for version, each in counts.items()}
        watched.buckets = {version: _buckets(each) for version, each in counts.items()}
        watched.shares = _shares(watched)


def _between(before: VersionCounts | None, now: VersionCounts, seconds: float) -> VersionSample:
    """What happened between two looks. A server that was started anew counts from zero."""
    total, failed = sum(now.codes.values()), _failed(now)
    earlier = sum(before.codes.values()) if before is not None else 0.0
    if before is None or earlier > total:
        before, earlier = None, 0.0
    latencies = {
        bound: number - (before.latencies.get(bound, 0.0) if before is not None else 0.0)
        for bound, number in now.latencies.items()
    }
    farthest = sorted(now.distances.items(), key=lambda each: -each[1])[:FEATURES]
    return VersionSample(
        rate=(total - earlier) / seconds,
        failed=(failed - (_failed(before) if before is not None else 0.0)) / seconds,
        p50=_quantile(latencies, 0.5),
        p99=_quantile(latencies, 0.99),
        labels=now.labels,
        accuracy=now.accuracy if now.labels else None,
        distances=dict(farthest),
    )


def _failed(counts: VersionCounts) -> float:
    return sum(number for code, number in counts.codes.items() if code.startswith("5"))


def _quantile(latencies: Mapping[float, float], share: float) -> float | None:
    """The upper bound of the bucket that a quantile lies in; `None` without requests, or beyond the last bound."""
    bounds = sorted(latencies)
    total = latencies[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    found = next((bound for bound in bounds if latencies[bound] >= share * total), None)
    return found if found is not None and found != float("inf") else None


def _buckets(counts: VersionCounts) -> dict[str, float]:
    """How many requests took at most each bound and more than the one before."""
    below, found = 0.0, {}
    for bound in sorted(counts.latencies):
        found["+Inf" if bound == float("inf") else f"{bound:g}"] = counts.latencies[bound] - below
        below = counts.latencies[bound]
    return found


def _shares(watched: WatchedService) -> dict[str, float]:
    """The share of each version in the requests of the newest samples, or since the servers began."""
    newest = list(watched.samples)[-12:]
    rates: dict[str, float] = {}
    for sample in newest:
        for version, each in sample.versions.items():
            rates[version] = rates.get(version, 0.0) + each.rate
    if not sum(rates.values()):
        rates = {version: sum(codes.values()) for version, codes in watched.codes.items()}
    total = sum(rates.values())
    return {version: rate / total for version, rate in rates.items()} if total else {}


def _page(watched: WatchedService) -> dict[str, object]:
    return {
        "name": watched.name,
        "url": watched.url,
        "model": watched.model,
        "leading": watched.leading,
        "former": watched.former,
        "problem": watched.problem,
        "notes": list(watched.notes),
        "drift": [{**msgspec.to_builtins(each), "words": each.lines()} for each in watched.drift],
        "shares": watched.shares,
        "codes": watched.codes,
        "buckets": watched.buckets,
        "newest": msgspec.to_builtins(watched.samples[-1]) if watched.samples else None,
    }


def _said(error: PlimsollError | OSError) -> str:
    return error.on_one_line() if isinstance(error, PlimsollError) else str(error)
