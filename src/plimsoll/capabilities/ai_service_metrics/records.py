"""What the probe of a workload's metrics records."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.capabilities.records import CheckRecord, CommonRecord


class Sample(Struct, frozen=True, kw_only=True):
    """The labels `who` and `token` and the value of a sample; the value is None when it is not a finite number."""

    who: str
    token: str
    value: float | None


class MetricsServed(CheckRecord, frozen=True, kw_only=True, tag="served"):
    """What a workload serves."""

    who: str
    prometheus: str
    found: tuple[Sample, ...]


class Collected(CheckRecord, frozen=True, kw_only=True, tag="collected"):
    """What Prometheus has of the series."""

    series: str
    found: tuple[Sample, ...]


class Redrawn(CheckRecord, frozen=True, kw_only=True, tag="redrawn"):
    """The second value of each workload; None for one that did not report it."""

    values: dict[str, float | None]


class Followed(CheckRecord, frozen=True, kw_only=True, tag="followed"):
    """What Prometheus has after the values changed."""

    found: tuple[Sample, ...]


ServiceMetricsRecord = MetricsServed | Collected | Redrawn | Followed | CommonRecord
