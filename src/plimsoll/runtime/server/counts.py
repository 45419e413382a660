"""Counts of requests, as values that can be sent and added. Pure; no numpy, as the supervisor imports this."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from msgspec import Struct, field

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds of the latency histogram."""


FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
EACH_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
"""Upper bounds in seconds. Source: OpenTelemetry's conventions for generative AI, metrics of servers."""


class Histogram(Struct, kw_only=True):
    """Counts for each bucket and for all above the last, and the sum of what was counted."""

    counts: list[int] = []
    total: float = 0.0

    def add(self, bounds: tuple[float, ...], seconds: float) -> None:
        """Count one value."""
        self.counts = self.counts or [0] * (len(bounds) + 1)
        self.counts[bisect_left(bounds, seconds)] += 1
        self.total += seconds

    def merge(self, other: Histogram) -> None:
        """Add another's counts."""
        if self.counts and other.counts:
            self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        else:
            self.counts = list(self.counts or other.counts)
        self.total += other.total


def _add(sums: dict[str, int], numbers: Mapping[str, int]) -> None:
    for word, number in numbers.items():
        sums[word] = sums.get(word, 0) + number


class LlmRecord(Struct, kw_only=True):
    """What is counted of a language model's answers besides: tokens, and seconds until the turn, until the first token
    of a stream, and for each further one of it. `routed` are those with several replicas, by why it was that one.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    routed: dict[str, int] = {}
    waited: Histogram = field(default_factory=Histogram)
    first_token: Histogram = field(default_factory=Histogram)
    each_token: Histogram = field(default_factory=Histogram)

    def merge(self, other: LlmRecord) -> None:
        """Add the counts of another record."""
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.cached_tokens += other.cached_tokens
        _add(self.routed, other.routed)
        self.waited.merge(other.waited)
        self.first_token.merge(other.first_token)
        self.each_token.merge(other.each_token)


class AssistantRecord(Struct, kw_only=True):
    """What is counted of an assistant's answers besides: their outcomes, their sentences by whether a passage supports
    them, and seconds of each stage.
    """

    outcomes: dict[str, int] = {}
    sentences: dict[str, int] = {}
    stages: dict[str, Histogram] = {}

    def add(self, outcome: str, stages: Mapping[str, float], sentences: Mapping[str, int]) -> None:
        """Count one answer."""
        _add(self.outcomes, {outcome: 1})
        _add(self.sentences, sentences)
        for stage, seconds in stages.items():
            self.stages.setdefault(stage, Histogram()).add(FIRST_TOKEN, seconds)

    def merge(self, other: AssistantRecord) -> None:
        """Add the counts of another record."""
        _add(self.outcomes, other.outcomes)
        _add(self.sentences, other.sentences)
        for stage, histogram in other.stages.items():
            self.stages.setdefault(stage, Histogram()).merge(histogram)


class Record(Struct, kw_only=True):
    """The counts of one version's requests.

    `codes` are requests by code. `latencies` has a count for each bucket and one for all above the last; `seconds` is
    the sum of all latencies. `runs` is how often the model ran for them: less than their number with batching.
    `restarts` is how often a process of the user's own code, or of an engine, was started again. `llm` is there for a
    language model alone, `assistant` for an assistant.
    """

    codes: dict[int, int] = {}
    latencies: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0
    runs: float = 0.0
    restarts: int = 0
    llm: LlmRecord | None = None
    assistant: AssistantRecord | None = None

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
        if other.llm is not None:
            self.llm = self.llm or LlmRecord()
            self.llm.merge(other.llm)
        if other.assistant is not None:
            self.assistant = self.assistant or AssistantRecord()
            self.assistant.merge(other.assistant)


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
    """All counts of one process, or the sum of several. `under_way` are requests that have begun, by model, and
    `waiting` those of a language model whose turn has not come.

    `lost` are observations that were dropped because the observers were too slow.
    """

    counts: list[Count] = []
    under_way: dict[str, int] = {}
    lost: int = 0
    waiting: dict[str, int] = {}


def total(several: Iterable[Counts]) -> Counts:
    """The sum of the counts of several processes."""
    found: dict[tuple[str, str], Count] = {}
    under_way: dict[str, int] = {}
    waiting: dict[str, int] = {}
    lost = 0
    for counts in several:
        lost += counts.lost
        for sums, numbers in ((under_way, counts.under_way), (waiting, counts.waiting)):
            for model, number in numbers.items():
                sums[model] = sums.get(model, 0) + number
        for each in counts.counts:
            new = Count(model=each.model, version=each.version, loaded=False, records=Records())
            known = found.setdefault((each.model, each.version), new)
            known.loaded |= each.loaded
            known.records.answers.merge(each.records.answers)
            known.records.copies.merge(each.records.copies)
    return Counts(counts=list(found.values()), under_way=under_way, lost=lost, waiting=waiting)


def of_ended_process(counts: Counts) -> Counts:
    """The counts of a process that has ended: it has nothing loaded and nothing under way."""
    ended = [Count(model=c.model, version=c.version, loaded=False, records=c.records) for c in counts.counts]
    return Counts(counts=ended, lost=counts.lost)
