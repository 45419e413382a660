"""An AI operator refuses bad objects, carries out good ones and survives the loss of its controller.

The refusal has to come from the operator's own webhook, and a near twin of the refused object has to be taken: a policy
that denies everything passes neither. Source: KAR-0063.
"""

from plimsoll.capabilities.robust_controller.judge import judge
from plimsoll.capabilities.robust_controller.probe import observe, obstacle

__all__ = ["judge", "observe", "obstacle"]
