"""The part of the metrics page that is of assistants.

OpenTelemetry's conventions for generative AI name operations and no stages: `embed` is its `embeddings`, `search` with
`rerank` its `retrieval`, `generate` its `chat`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from plimsoll.runtime.server.counts import FIRST_TOKEN, Counts
from plimsoll.runtime.server.llms.metrics import buckets_of


def assistant_families(counts: Counts) -> Iterator[Any]:
    """The families; none without an assistant."""
    known = [(count, count.records.answers.assistant) for count in counts.counts]
    records = [(count, record) for count, record in known if record is not None]
    if not records:
        return
    answers = CounterMetricFamily(
        "plimsoll_assistant_answers",
        "Answers by what they stand on: answered, unsupported, refused",
        labels=["model", "version", "outcome"],
    )
    stages = HistogramMetricFamily(
        "plimsoll_assistant_stage_seconds",
        "Seconds of each stage: embed, search, rerank, prompt, first_token, generate, support",
        labels=["model", "version", "stage"],
    )
    sentences = CounterMetricFamily(
        "plimsoll_assistant_sentences",
        "Sentences of answers by whether a passage supports them: supported, unsupported",
        labels=["model", "version", "verdict"],
    )
    for count, record in records:
        for verdict, number in sorted(record.sentences.items()):
            sentences.add_metric([count.model, count.version, verdict], number)
        for outcome, number in sorted(record.outcomes.items()):
            answers.add_metric([count.model, count.version, outcome], number)
        for stage, found in record.stages.items():
            stages.add_metric([count.model, count.version, stage], buckets_of(found, FIRST_TOKEN), found.total)
    yield from (answers, sentences, stages)
