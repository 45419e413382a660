"""What the probe of the HorizontalPodAutoscaler records."""

from __future__ import annotations

from msgspec import Struct

from plimsoll.capabilities.records import CheckRecord, CommonRecord


class ScalingAsked(CheckRecord, frozen=True, kw_only=True, tag="asked"):
    """The metric, its target value, and the accelerators' resource."""

    series: str
    target: int = 0
    resource: str


class ScaledPod(Struct, frozen=True, kw_only=True):
    """A pod of the scaled deployment, and the quantity of accelerators in its limits."""

    name: str
    node: str
    phase: str
    accelerators: str


class Replicas(CheckRecord, frozen=True, kw_only=True, tag="replicas"):
    """Ready pods at the end of a step (-1 while some are not), and the most replicas of each deployment during it."""

    step: str
    ready: int
    most: int
    twin: int
    pods: tuple[ScaledPod, ...]


class MetricRead(CheckRecord, frozen=True, kw_only=True, tag="read"):
    """The values that the autoscaler reported in a step, and its conditions."""

    step: str
    values: tuple[str, ...]
    conditions: tuple[str, ...]


class ValueDrawn(CheckRecord, frozen=True, kw_only=True, tag="drawn"):
    """The value that the pod drew; None when it did not report one."""

    value: int | None


ScalingRecord = ScalingAsked | Replicas | MetricRead | ValueDrawn | CommonRecord
