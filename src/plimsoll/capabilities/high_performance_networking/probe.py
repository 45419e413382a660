"""Looks for declarations of a second network."""

from __future__ import annotations

from plimsoll.capabilities.facts import ClusterFacts
from plimsoll.capabilities.probe_namespace import ProbeNamespace
from plimsoll.evidence.verdict import Verdict, not_applicable, unknown

_DRIVERS = ("dra.net", "dranet", "sriovnetwork", "rdma")
_RESOURCES = (
    "rdma/",
    "nvidia.com/hostdev",
    "openshift.io/",
    "intel.com/sriov",
    "vpc.amazonaws.com/efa",
    "mellanox.com/",
)
_GROUPS = ("k8s.cni.cncf.io", "sriovnetwork.openshift.io", "networking.gke.io")


def obstacle(facts: ClusterFacts) -> Verdict:
    """The requirement does not apply to a cluster that declares no such network."""
    declared = [
        *(f"the DRA driver {each.driver}" for each in facts.slices if any(word in each.driver for word in _DRIVERS)),
        *(
            f"{resource} of {node.name}"
            for node in facts.nodes
            for resource in node.allocatable
            if resource.startswith(_RESOURCES)
        ),
        *(f"objects of {group}" for group in _GROUPS if facts.serves(group)),
    ]
    if declared:
        return unknown(
            f"{declared[0]} declares a network, which plimsoll cannot test yet",
            "show by hand that two pods communicate over their second interfaces",
        )
    if {"nodes", "slices"} & set(facts.unreadable):
        return unknown(
            "the caller may not list nodes or resourceslices: there may be such a network",
            "grant list on nodes and resourceslices",
        )
    return not_applicable(
        f"nothing declares one: none of {len(facts.nodes)} nodes has such a resource, and there are no DRA driver of "
        "networks and no network attachments"
    )


def observe(ns: ProbeNamespace, facts: ClusterFacts) -> None:
    """Creates nothing: `obstacle` always decides."""
