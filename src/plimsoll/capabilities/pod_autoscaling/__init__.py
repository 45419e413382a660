"""Pods that hold accelerators are scaled by a metric of their own: one, more, one again. Source: KAR-0057.

The value is random and the HorizontalPodAutoscaler has to have read exactly it: an autoscaler that would have scaled
anyway, or by something else, does not pass.
"""

from plimsoll.capabilities.pod_autoscaling.judge import judge
from plimsoll.capabilities.pod_autoscaling.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
