"""Accelerator pods that wait bring a node, something runs on it, and their end takes it away. Source: KAR-0055.

What runs on the new node works out a number when it starts, and another when it is asked from elsewhere, of factors
that nobody knew before: a node that exists only as an object, with a pod that is called Running, does neither.
"""

from plimsoll.capabilities.cluster_autoscaling.judge import judge
from plimsoll.capabilities.cluster_autoscaling.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
