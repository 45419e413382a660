"""Metrics that a workload declares are collected; those that it does not declare are not. Source: KAR-0061.

Pods serve the same random series with values and labels that are drawn in them and are in no manifest. A
ServiceMonitor, a PodMonitor and an annotation declare one each; nothing declares the last.
"""

from plimsoll.capabilities.ai_service_metrics.judge import judge
from plimsoll.capabilities.ai_service_metrics.probe import observe, obstacle
from plimsoll.capabilities.ai_service_metrics.records import ServiceMetricsRecord
from plimsoll.capabilities.monitoring import MONITOR_RIGHTS
from plimsoll.capabilities.probe import Probe
from plimsoll.capabilities.rights import MAKE, Right

PROBE = Probe(
    requirement="ai_service_metrics",
    records=ServiceMetricsRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    rights=(*MONITOR_RIGHTS, Right(group="", resources=("services",), verbs=MAKE)),
)
