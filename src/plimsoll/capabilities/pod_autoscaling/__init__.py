"""Pods that hold accelerators are scaled by a metric of their own: one, more, one again. Source: KAR-0057.

The value is drawn in the pod and stands in no manifest; the HorizontalPodAutoscaler has to have read exactly it. Before
that it must leave the pod alone, and all the while a twin whose metric stays low: what scales by a clock, by hand or by
something else moves them too.
"""

from plimsoll.capabilities.pod_autoscaling.judge import judge
from plimsoll.capabilities.pod_autoscaling.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
