"""Pending accelerator pods bring a node, work runs on it, and their end removes it. Source: KAR-0055.

The pod on the new node computes a number when it starts, and another when the probe asks it over the network, of
factors that nobody knew before: a node that is only an object, with a pod that is only called Running, does neither.
"""

from plimsoll.capabilities.cluster_autoscaling.judge import judge
from plimsoll.capabilities.cluster_autoscaling.probe import observe, obstacle
from plimsoll.capabilities.cluster_autoscaling.records import AutoscalingRecord
from plimsoll.capabilities.probe import Probe

PROBE = Probe(
    requirement="cluster_autoscaling",
    records=AutoscalingRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
)
