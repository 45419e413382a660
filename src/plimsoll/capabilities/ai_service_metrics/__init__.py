"""Metrics that a workload declares are collected; those that it does not declare are not. Source: KAR-0061.

Pods serve the same random series with values and labels that are drawn in them and stand in no manifest. A
ServiceMonitor, a PodMonitor and an annotation declare one each; the last is declared by nobody.
"""

from plimsoll.capabilities.ai_service_metrics.judge import judge
from plimsoll.capabilities.ai_service_metrics.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
