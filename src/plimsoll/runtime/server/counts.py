"""What is counted of requests, in values that can be sent and added. Pure, and without numpy: the supervisor has it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from msgspec import Struct, field

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: from the smallest models to the longest that anybody waits for."""


class Record(Struct, kw_only=True):
    """What is counted of one version's requests.

    `latencies` has a count for each bucket and one for all beyond; `seconds` is their sum; `runs` is how often the
    model was run for them, less than their number where they were computed together.
    """

    codes: dict[int, int] = {}
    latencies: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0
    runs: float = 0.0

    def add(self, status: int, seconds: float) -> None:
        """Count one answer."""
        self.codes[status] = self.codes.get(status, 0) + 1
        self.latencies[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def take_in(self, other: Record) -> None:
        """Add another's counts."""
        for code, number in other.codes.items():
            self.codes[code] = self.codes.get(code, 0) + number
        self.latencies = [one + more for one, more in zip(self.latencies, other.latencies, strict=True)]
        self.seconds += other.seconds
        self.runs += other.runs


class Records(Struct):
    """What is counted of one version: its answers, and copies of requests whose answers nobody got."""

    answers: Record = field(default_factory=Record)
    copies: Record = field(default_factory=Record)


class Count(Struct, kw_only=True):
    """One version's records; `there`: it is served now."""

    model: str
    version: str
    there: bool = True
    records: Records


class Counts(Struct, kw_only=True):
    """All that one process has counted, or several together. `under_way` is by model.

    `lost` are answers that the observers were too slow for.
    """

    counts: list[Count] = []
    under_way: dict[str, int] = {}
    lost: int = 0


def together(several: Iterable[Counts]) -> Counts:
    """The sums."""
    found: dict[tuple[str, str], Count] = {}
    under_way: dict[str, int] = {}
    lost = 0
    for counts in several:
        lost += counts.lost
        for model, number in counts.under_way.items():
            under_way[model] = under_way.get(model, 0) + number
        for each in counts.counts:
            new = Count(model=each.model, version=each.version, there=False, records=Records())
            known = found.setdefault((each.model, each.version), new)
            known.there |= each.there
            known.records.answers.take_in(each.records.answers)
            known.records.copies.take_in(each.records.copies)
    return Counts(counts=list(found.values()), under_way=under_way, lost=lost)


def past(counts: Counts) -> Counts:
    """The counts of a process that has ended."""
    gone = [Count(model=c.model, version=c.version, there=False, records=c.records) for c in counts.counts]
    return Counts(counts=gone, lost=counts.lost)
