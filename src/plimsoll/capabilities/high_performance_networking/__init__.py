"""Fast networks are discovered and attached to pods, where workloads need them. Source: KAR-0010.

The condition is looked up; a network that is declared cannot be tried yet, and the verdict says so.
"""

from plimsoll.capabilities.high_performance_networking.judge import judge
from plimsoll.capabilities.high_performance_networking.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
