"""Convert monitors and scores to metric families. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from prometheus_client.core import Metric

from plimsoll.telemetry import catalogue
from plimsoll.telemetry.drift.monitor import DriftMonitor

DISTANCES = ("ks", "jensen_shannon", "largest_change")


class AccuracyMetrics(Struct, frozen=True, kw_only=True):
    """Scores and counts of late labels."""

    scores: Mapping[str, float] = {}
    labels: int = 0
    unmatched: int = 0
    alarm: bool = False


def drift_families(
    model: str, version: str, monitors: Sequence[DriftMonitor], accuracy: AccuracyMetrics
) -> list[Metric]:
    """All metric families of drift and feedback for one model version."""
    of = [model, version]
    distance, missing = catalogue.DRIFT_DISTANCE.gauge(), catalogue.DRIFT_MISSING.gauge()
    alarm = catalogue.DRIFT_ALARM.gauge()
    for monitor in monitors:
        for one in monitor.comparisons:
            place = [*of, one.side, one.feature]
            missing.add_metric(place, one.figures["missing"])
            for name in DISTANCES:
                if name in one.figures:
                    distance.add_metric([*place, name], one.figures[name])
        for feature in monitor.reference.features:
            name = feature.name
            alarm.add_metric([*of, monitor.reference.side, name], float(name in monitor.alarms))
    counts = []
    for described, value in (
        (catalogue.DRIFT_ROWS, monitors[0].rows),
        (catalogue.DRIFT_SKIPPED, monitors[0].skipped),
        (catalogue.DRIFT_WINDOWS, monitors[0].judged),
        (catalogue.LABELS, accuracy.labels),
        (catalogue.UNMATCHED, accuracy.unmatched),
    ):
        family = described.counter()
        family.add_metric(of, value)
        counts.append(family)
    score, worse = catalogue.SCORE.gauge(), catalogue.ACCURACY_ALARM.gauge()
    for name, figure in accuracy.scores.items():
        score.add_metric([*of, name], figure)
    worse.add_metric(of, float(accuracy.alarm))
    return [distance, missing, alarm, *counts, score, worse]
