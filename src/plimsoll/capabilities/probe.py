"""The shape of a probe, and the table of all of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, cast

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.observation import Observation
from plimsoll.evidence.verdict import Outcome, Verdict, environment_error, skipped, unknown


class Probe(Protocol):
    """A room's module. `observe` acts and records, `judge` only reads: the same function that `verify` calls."""

    def obstacle(self, facts: ClusterFacts) -> Verdict | None:
        """The verdict when the facts alone decide, before anything is made; None when the probe is to be run."""

    def observe(self, ns: ProbeNamespace, facts: ClusterFacts) -> None:
        """Run the positive case, the negative one and the control, and record what is seen."""

    def judge(self, record: Sequence[Observation]) -> Verdict:
        """What the record shows."""


# A requirement without a room has no probe yet, and its verdict says so.
ROOMS: Mapping[str, str] = MappingProxyType(
    {
        name: f"plimsoll.capabilities.{name}"
        for name in (
            "secure_accelerator_access",
            "gang_scheduling",
            "ai_inference",
            "robust_controller",
            "cluster_autoscaling",
            "pod_autoscaling",
            "accelerator_metrics",
            "ai_service_metrics",
            "dra_support",
            "gpu_sharing",
            "virtualized_accelerator",
            "driver_runtime_management",
            "workload_sandboxing",
            "advanced_inference_ingress",
            "high_performance_networking",
            "disaggregated_inference",
        )
    }
)


# Seconds from the creation of a pod that does nothing to its end beyond which what did not come in time says nothing.
SLOW = 30.0


def probe_of(requirement: str) -> Probe:
    """The room of a requirement. Raises KeyError when there is none."""
    return cast("Probe", importlib.import_module(ROOMS[requirement]))


def judge(requirement: str, record: Sequence[Observation]) -> Verdict:
    """The verdict of a probe's record. Whatever broke off is an environment error, never a pass."""
    for each in record:
        if each.event == "decided":
            return _decided(each.fact)
    for each in record:
        if each.event == "broke-off":
            return environment_error(str(each.fact["problem"]), str(each.fact.get("remedy", "")))
    if not any(each.event == "ended" for each in record):
        return skipped("the probe was not run to its end")
    try:
        verdict = probe_of(requirement).judge(record)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return unknown(f"the record does not hold what a verdict needs: {error!r}")
    slowest = max((float(each["seconds"]) for each in events(record, "pace")), default=0.0)
    if verdict.outcome is Outcome.FAIL and slowest > SLOW:
        return environment_error(
            f"a pod that does nothing took {slowest:.0f} s, so that this shows little: {verdict.cause}",
            "try again when the cluster is less busy, with a larger --timeout",
        )
    return verdict


def _decided(fact: Mapping[str, Any]) -> Verdict:
    """A verdict from the inventory, which can be anything but a pass."""
    outcome = Outcome(fact["outcome"])
    if outcome is Outcome.PASS:
        return unknown("a pass without a probe: the record was altered")
    return Verdict(outcome=outcome, cause=str(fact["cause"]), remedy=str(fact.get("remedy", "")))


def events(record: Sequence[Observation], event: str) -> list[dict[str, Any]]:
    """The facts of one event, in order."""
    return [dict(each.fact) for each in record if each.event == event]


def came(record: Sequence[Observation], what: str) -> bool:
    """Whether something that was waited for came."""
    return any(each["what"] == what for each in events(record, "came"))
