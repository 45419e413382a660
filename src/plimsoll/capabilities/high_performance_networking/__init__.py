"""Fast networks are discovered and attached to pods, where workloads need them. Source: KAR-0010.

The probe looks for the condition only. It cannot test a network that is declared, and the verdict says so.
"""

from plimsoll.capabilities.high_performance_networking.judge import judge
from plimsoll.capabilities.high_performance_networking.probe import observe, obstacle
from plimsoll.capabilities.probe import Probe
from plimsoll.capabilities.records import CommonRecord

PROBE = Probe(
    requirement="high_performance_networking",
    records=CommonRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
)
