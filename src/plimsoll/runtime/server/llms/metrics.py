"""The part of the metrics page that is of language models.

The names are those of OpenTelemetry's conventions for generative AI, with our prefix: `gen_ai.token.type` is `type`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from plimsoll.runtime.server.counts import EACH_TOKEN, FIRST_TOKEN, Counts, Histogram

_HISTOGRAMS = (
    ("queue_seconds", "Seconds until a request's turn", FIRST_TOKEN, "waited"),
    ("time_to_first_token_seconds", "Seconds to the first token of a streamed answer", FIRST_TOKEN, "first_token"),
    ("time_per_output_token_seconds", "Seconds for each further token of a streamed answer", EACH_TOKEN, "each_token"),
)


def llm_families(counts: Counts) -> Iterator[Any]:
    """The families; none without a language model."""
    known = [(count, count.records.answers.llm) for count in counts.counts]
    records = [(count, record) for count, record in known if record is not None]
    if not records:
        return
    tokens = CounterMetricFamily(
        "plimsoll_llm_tokens",
        "Tokens of questions (input; cached of them) and answers",
        labels=["model", "version", "type"],
    )
    for count, record in records:
        for kind, number in (
            ("input", record.prompt_tokens),
            ("cached", record.cached_tokens),
            ("output", record.completion_tokens),
        ):
            tokens.add_metric([count.model, count.version, kind], number)
    yield tokens
    if any(record.routed for _, record in records):
        routed = CounterMetricFamily(
            "plimsoll_llm_routed",
            "Requests to one of several replicas: prefix (it knew the beginning), load (those that did were busy), new",
            labels=["model", "version", "why"],
        )
        for count, record in records:
            for why, number in sorted(record.routed.items()):
                routed.add_metric([count.model, count.version, why], number)
        yield routed
    for name, words, bounds, attribute in _HISTOGRAMS:
        family = HistogramMetricFamily(f"plimsoll_llm_{name}", words, labels=["model", "version"])
        for count, record in records:
            found: Histogram = getattr(record, attribute)
            family.add_metric([count.model, count.version], buckets_of(found, bounds), found.total)
        yield family
    waiting = GaugeMetricFamily("plimsoll_llm_waiting", "Requests whose turn has not come", labels=["model"])
    for model, number in counts.waiting.items():
        waiting.add_metric([model], number)
    yield waiting


def buckets_of(found: Histogram, bounds: tuple[float, ...]) -> list[tuple[str, int]]:
    """The counts up to each bound, as Prometheus has them."""
    below, buckets = 0, []
    for bound, number in zip((*map(str, bounds), "+Inf"), found.counts or [0] * (len(bounds) + 1), strict=True):
        below += number
        buckets.append((bound, below))
    return buckets
