"""Counts of requests, as values that can be sent and added. Pure; no numpy, as the supervisor imports this."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from msgspec import Struct, field

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds of the latency histogram."""


class Record(Struct, kw_only=True):
    """The counts of one version's requests.

    `codes` are requests by code. `latencies` has a count for each bucket and one for all above the last; `seconds` is
    the sum of all latencies. `runs` is how often the model ran for them: less than their number with batching.
    `restarts` is how often a process of the user's own code was started again.
    """

    codes: dict[int, int] = {}
    latencies: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0
    runs: float = 0.0
    restarts: int = 0

    def add(self, code: int, seconds: float) -> None:
        """Count one answer."""
        self.codes[code] = self.codes.get(code, 0) + 1
        self.latencies[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def merge(self, other: Record) -> None:
        """Add the counts of another record."""
        for code, number in other.codes.items():
            self.codes[code] = self.codes.get(code, 0) + number
        self.latencies = [one + more for one, more in zip(self.latencies, other.latencies, strict=True)]
        self.seconds += other.seconds
        self.runs += other.runs
        self.restarts += other.restarts


class Records(Struct):
    """The counts of one version: requests, and copies of requests that it computed as a shadow."""

    answers: Record = field(default_factory=Record)
    copies: Record = field(default_factory=Record)


class Count(Struct, kw_only=True):
    """One version's records; `loaded` says whether it is loaded now."""

    model: str
    version: str
    loaded: bool = True
    records: Records


class Counts(Struct, kw_only=True):
    """All counts of one process, or the sum of several. `under_way` are requests that have begun, by model.

    `lost` are observations that were dropped because the observers were too slow.
    """

    counts: list[Count] = []
    under_way: dict[str, int] = {}
    lost: int = 0


def total(several: Iterable[Counts]) -> Counts:
    """The sum of the counts of several processes."""
    found: dict[tuple[str, str], Count] = {}
    under_way: dict[str, int] = {}
    lost = 0
    for counts in several:
        lost += counts.lost
        for model, number in counts.under_way.items():
            under_way[model] = under_way.get(model, 0) + number
        for each in counts.counts:
            new = Count(model=each.model, version=each.version, loaded=False, records=Records())
            known = found.setdefault((each.model, each.version), new)
            known.loaded |= each.loaded
            known.records.answers.merge(each.records.answers)
            known.records.copies.merge(each.records.copies)
    return Counts(counts=list(found.values()), under_way=under_way, lost=lost)


def of_ended_process(counts: Counts) -> Counts:
    """The counts of a process that has ended: it has nothing loaded and nothing under way."""
    ended = [Count(model=c.model, version=c.version, loaded=False, records=c.records) for c in counts.counts]
    return Counts(counts=ended, lost=counts.lost)
