"""The shape of a probe, the table of all probes, and the verdict of a record."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from types import UnionType

from msgspec import Struct

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.capabilities.records import (
    BrokeOff,
    ClusterPace,
    Decided,
    EndRecord,
    MalformedRecord,
    ProbeEnded,
    Recorded,
    decode,
    make_decodable,
)
from plimsoll.capabilities.rights import Right
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, skipped, unknown

ACCELERATORS = "accelerators"
"""What probes have to themselves that hold accelerators of the same nodes: two of them would see each other."""
SLOW = 30.0
"""Seconds for a pod that does nothing, beyond which a cluster is too busy for a failure to mean anything."""


class ClusterKind(Struct, frozen=True, kw_only=True):
    """A kind whose objects belong to no namespace."""

    api_version: str
    kind: str


class Probe(Struct, frozen=True, kw_only=True):
    """One capability's probe.

    `obstacle` gives the verdict when the inventory alone decides, and None when the probe has to run. `observe` runs
    the positive case, the negative case and the control, and records what it sees. `judge` only reads: `verify` calls
    the same function. `records` is the union of the types that `observe` writes, `rights` what it needs besides the
    rights of the inventory and of its namespace. Probes with the same word in `alone` run one after another.
    `cluster_kinds` are the kinds without a namespace that it creates, in the order of their removal.
    """

    requirement: str
    records: UnionType
    obstacle: Callable[[ClusterFacts], Verdict | None]
    observe: Callable[[ProbeNamespace, ClusterFacts], None]
    judge: Callable[[Recorded], Verdict]
    rights: tuple[Right, ...] = ()
    alone: str = ""
    cluster_kinds: tuple[ClusterKind, ...] = ()

    def __post_init__(self) -> None:
        """Two record types with one event are a TypeError."""
        make_decodable(self.records)


ROOMS = (
    "pod_autoscaling",
    "secure_accelerator_access",
    "accelerator_metrics",
    "dra_support",
    "gpu_sharing",
    "virtualized_accelerator",
    "driver_runtime_management",
    "gang_scheduling",
    "ai_inference",
    "robust_controller",
    "cluster_autoscaling",
    "ai_service_metrics",
    "workload_sandboxing",
    "advanced_inference_ingress",
    "high_performance_networking",
    "disaggregated_inference",
    "tenant_isolation",
)
"""Requirements with a probe: each is a folder here whose `PROBE` is the probe. A requirement that is missing here has
no probe yet, and its verdict says so. Of probes that wait for each other the first in this table runs first: the
longest."""


def probe_of(requirement: str) -> Probe:
    """The probe of a requirement. Raises KeyError when there is none."""
    if requirement not in ROOMS:
        raise KeyError(requirement)
    # Imported when it is needed: a check of one requirement, and `--help`, load no other probe.
    found: Probe = importlib.import_module(f"plimsoll.capabilities.{requirement}").PROBE
    return found


def all_probes() -> list[Probe]:
    """Every probe, in the order of the table."""
    return [probe_of(name) for name in ROOMS]


def judge(requirement: str, observations: Sequence[Observation]) -> Verdict:
    """The verdict of a probe's record. A probe that broke off is an environment error, a malformed record unknown."""
    probe = probe_of(requirement)
    try:
        end = decode(observations, EndRecord)
        if decided := end.first(Decided):
            return _from_inventory(decided)
        if broken := end.first(BrokeOff):
            return environment_error(broken.problem, broken.remedy)
        if end.first(ProbeEnded) is None:
            return skipped("the probe was not run to its end")
        record = decode(observations, probe.records)
        verdict = probe.judge(record)
    except MalformedRecord as error:
        return unknown(f"the record does not hold what a verdict needs: {error.message}")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        # What a judge works out of well-formed fields that contradict each other.
        return unknown(f"the record does not hold what a verdict needs: {error!r}")
    slowest = max((each.seconds for each in record.all(ClusterPace)), default=0.0)
    if verdict.outcome is Outcome.FAIL and slowest > SLOW:
        return environment_error(
            f"the cluster is too busy for this failure to count: a pod that does nothing took {slowest:.0f} s: "
            f"{verdict.cause}",
            "try again when the cluster is less busy, with a larger --timeout",
        )
    return verdict


def _from_inventory(decided: Decided) -> Verdict:
    """A verdict from the inventory, which can be anything but a pass."""
    if decided.outcome is Outcome.PASS:
        return unknown("the record has a pass without a probe: it was altered")
    return Verdict(outcome=decided.outcome, cause=decided.cause, remedy=decided.remedy)
