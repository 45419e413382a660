"""Metrics that a workload declares are collected; those that it does not declare are not. Source: KAR-0061.

Two pods serve the same random series with the same random value, told apart by a label; a ServiceMonitor or PodMonitor
declares one of them.
"""

from plimsoll.capabilities.ai_service_metrics.judge import judge
from plimsoll.capabilities.ai_service_metrics.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
