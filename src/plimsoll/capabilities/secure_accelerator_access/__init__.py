"""An accelerator is open to its holder and to nobody else on the same node: shown by attack.

Two pods hold a device each; a third on the same node holds none. Each tries to open what it holds and what the others
hold: by name, by making a device node with the other's numbers, and through the variables that vendors' runtimes act
upon. Source: KAR-0049.
"""

from plimsoll.capabilities.secure_accelerator_access.judge import judge
from plimsoll.capabilities.secure_accelerator_access.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
