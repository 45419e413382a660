"""The part of the metrics page that is of assistants."""

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
        "Seconds of each stage: search, prompt, first_token, answer, support",
        labels=["model", "version", "stage"],
    )
    for count, record in records:
        for outcome, number in sorted(record.outcomes.items()):
            answers.add_metric([count.model, count.version, outcome], number)
        for stage, found in record.stages.items():
            stages.add_metric([count.model, count.version, stage], buckets_of(found, FIRST_TOKEN), found.total)
    yield from (answers, stages)
