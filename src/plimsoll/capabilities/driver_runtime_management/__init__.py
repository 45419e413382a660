"""The driver version that nodes advertise is the one in their containers. Source: KAR-0001.

On every node with accelerators a pod holds one and reads the driver's version; it has to be the version that the node's
devices or labels advertise.
"""

from plimsoll.capabilities.device_holders import CLAIM_RIGHTS
from plimsoll.capabilities.driver_runtime_management.judge import judge
from plimsoll.capabilities.driver_runtime_management.probe import observe, obstacle
from plimsoll.capabilities.driver_runtime_management.records import DriverRecord
from plimsoll.capabilities.probe import ACCELERATORS, Probe

PROBE = Probe(
    requirement="driver_runtime_management",
    records=DriverRecord,
    obstacle=obstacle,
    observe=observe,
    judge=judge,
    rights=CLAIM_RIGHTS,
    alone=ACCELERATORS,
)
