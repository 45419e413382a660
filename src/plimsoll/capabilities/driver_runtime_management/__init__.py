"""What nodes say of their accelerators' driver is what a container on them sees. Source: KAR-0001.

On every node with accelerators a pod holds one and reads the driver's version as it is there; it has to be the one that
the node's devices or labels advertise.
"""

from plimsoll.capabilities.driver_runtime_management.judge import judge
from plimsoll.capabilities.driver_runtime_management.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
